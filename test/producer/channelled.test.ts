/** What waits for a slow reader is bounded, and what was left out is told in its place. */
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, task, type RunEvent } from 'graflow'
import { Channelled } from '../../lib/producer/channelled.js'

const READ_ALL = async (items: AsyncIterable<unknown>): Promise<unknown[]> => {
  const all: unknown[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('a channel with a slow reader', () => {
  const channel = () => new Channelled<string>({ most: 3, omitted: (count) => `${count} left out` })

  it('keeps so many items, and tells how many more there were before what comes next', async () => {
    const queue = channel()
    for (let i = 1; i <= 10; i += 1) queue.push(`${i}`)
    const items = queue.iterate(() => undefined)
    expect((await items.next()).value).toBe('1')
    queue.push('11')
    queue.end()
    expect(await READ_ALL(items)).toEqual(['2', '3', '7 left out', '11'])
  })

  it('leaves out nothing that must be kept, and keeps the order', async () => {
    const queue = channel()
    for (let i = 1; i <= 5; i += 1) queue.push(`${i}`)
    queue.push('state', true)
    queue.push('6')
    queue.end()
    expect(await READ_ALL(queue.iterate(() => undefined))).toEqual(['1', '2', '3', '2 left out', 'state', '1 left out'])
  })
})

describe('a channel whose reader leaves', () => {
  it.each([
    ['while it waits', 1],
    ['before it has read', 0],
  ])('%s, is closed at once, and once', async (_, reads) => {
    let closed = 0
    const items = new Channelled<string>({ most: 3, omitted: String }).iterate(() => (closed += 1))
    const waiting = Array.from({ length: reads }, () => items.next())
    await sleep(20)
    const left = await Promise.race([items.return(), sleep(1_000)])
    expect(left).toEqual({ done: true, value: undefined })
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => ({ done: true, value: undefined })))
    expect(closed).toBe(1)
  })
})

describe('events of a run with a slow reader', () => {
  it('are bounded: what was left out is one event, and the end is there', async () => {
    await using graflow = await connect({ logLevel: 'silent' })
    const MANY = 25_000
    const talks = task('talks', (_: unknown, ctx) => {
      for (let i = 0; i < MANY; i += 1) ctx.progress(0.5)
    })
    const run = await graflow.start(talks)
    const events = run.events()
    const first = events.next()
    await run.result()
    const all: RunEvent[] = [(await first).value as RunEvent]
    for await (const event of events) all.push(event)
    const told = all.filter(({ type }) => type === 'run:progress').length
    const omitted = all.reduce((sum, event) => sum + (event.type === 'run:omitted' ? event.count : 0), 0)
    expect(told).toBeLessThanOrEqual(20_000)
    // its step was begun and settled, too
    const steps = all.filter(({ type }) => type.startsWith('step:')).length
    expect(omitted).toBe(MANY - told + 2 - steps)
    expect(all.at(-1)).toMatchObject({ type: 'run:state', to: 'completed' })
  })
})
