/** A process that stands for leader, on a store that the test plays, under a clock that moves when told to. */
import type { Backend, LeadAnswer, LeadRequest } from '../../lib/backend/backend.js'
import { Emitter } from '../../lib/events.js'
import { Leadership } from '../../lib/session/leadership.js'
import { Lifecycle } from '../../lib/session/lifecycle.js'
import { manualClock } from '../../lib/time.js'
import { thrown } from '../support/captured-errors.js'
import { turn } from '../support/waits.js'

const TTL_MS = 9_000
const led = (session: string, term: number): LeadAnswer => ({
  status: 'ok',
  lead: { session, leaderId: session, term },
})

/** A process `me`; `answer` is what the store says to it, or does not. */
function candidate() {
  const clock = manualClock(1_000_000)
  const emitter = new Emitter(() => clock.now())
  const lifecycle = new Lifecycle(emitter, clock)
  const asked: LeadRequest[] = []
  const errors: unknown[] = []
  const log: string[] = []
  const told: string[] = []
  emitter.subscribe('log', ({ message }) => log.push(message))
  lifecycle.onBecameLeader((term) => told.push(`leads ${term}`))
  lifecycle.onLostLeadership((term) => told.push(`lost ${term}`))
  const store: { answer: () => Promise<LeadAnswer> } = { answer: () => Promise.resolve(led('me', 1)) }
  const backend: Pick<Backend, 'lead'> = {
    lead: (request) => {
      asked.push(request)
      return store.answer()
    },
  }
  const leadership = new Leadership({
    ...{ backend, session: 'me', baseId: 'me', ttlMs: TTL_MS, clock, emitter, lifecycle },
    random: () => 0,
    onError: (error) => errors.push(error),
  })
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms)
    await turn()
  }
  return { leadership, lifecycle, store, asked, errors, log, told, pass }
}

describe('a process that stands for leader', () => {
  it('renews its lease three times as often as it must, and says once that it leads', async () => {
    const { leadership, lifecycle, asked, told, log, pass } = candidate()
    await leadership.begin()
    expect([lifecycle.isLeader, lifecycle.term]).toEqual([true, 1])
    for (let i = 0; i < 3; i += 1) await pass(TTL_MS / 3)
    expect(asked).toHaveLength(4)
    expect([told, log]).toEqual([['leads 1'], ['me leads now, in term 1']])
  })

  it('leads no more when its lease is over, though the store says nothing', async () => {
    const { leadership, lifecycle, store, told, log, pass } = candidate()
    await leadership.begin()
    store.answer = () => new Promise(() => undefined)
    await pass(TTL_MS - 1)
    expect(lifecycle.isLeader).toBe(true)
    await pass(1)
    expect(lifecycle.isLeader).toBe(false)
    expect(told).toEqual(['leads 1', 'lost 1'])
    expect(log).toContain('me leads no more')
  })

  it('leads no more when its lease is over, also while its event loop stands still', () => {
    let now = 0
    const clock = { now: () => now, after: () => () => undefined } // no timer fires
    const lifecycle = new Lifecycle(new Emitter(() => now), clock)
    lifecycle.leads(1, TTL_MS)
    now = TTL_MS - 1
    expect([lifecycle.isLeader, lifecycle.term]).toEqual([true, 1])
    now = TTL_MS
    expect([lifecycle.isLeader, lifecycle.term]).toEqual([false, undefined])
  })

  it('counts its lease from when it asked, not from the answer', async () => {
    const { leadership, lifecycle, store, pass } = candidate()
    let answer: (answer: LeadAnswer) => void = () => undefined
    store.answer = () =>
      new Promise((resolve) => {
        answer = resolve
      })
    const begun = leadership.begin()
    await pass(TTL_MS / 2)
    answer(led('me', 1))
    await begun
    expect(lifecycle.isLeader).toBe(true)
    store.answer = () => new Promise(() => undefined)
    await pass(TTL_MS / 2)
    expect(lifecycle.isLeader).toBe(false)
  })

  it('asks rarely while another leads, and at once when it hears that nobody does', async () => {
    const { leadership, lifecycle, store, asked, told, pass } = candidate()
    store.answer = () => Promise.resolve(led('other', 4))
    await leadership.begin()
    await pass(TTL_MS - 1)
    expect([asked.length, lifecycle.isLeader]).toEqual([1, false])
    await pass(1)
    expect(asked).toHaveLength(2)
    store.answer = () => Promise.resolve(led('me', 5))
    leadership.hurry()
    await turn()
    expect([lifecycle.isLeader, told]).toEqual([true, ['leads 5']])
  })

  it('is told of a new term of its own as of a loss', async () => {
    const { leadership, store, told, pass } = candidate()
    await leadership.begin()
    store.answer = () => Promise.resolve(led('me', 3))
    await pass(TTL_MS / 3)
    expect(told).toEqual(['leads 1', 'lost 1', 'leads 3'])
  })

  it('goes on asking after errors, and while the store does not know it', async () => {
    const { leadership, lifecycle, store, errors, pass } = candidate()
    store.answer = () => Promise.resolve({ status: 'nosession' })
    leadership.hurry()
    await turn()
    store.answer = () => Promise.reject(new Error('away'))
    await pass(250)
    expect(errors).toEqual([new Error('away')])
    store.answer = () => Promise.resolve(led('me', 1))
    await pass(100)
    expect(lifecycle.isLeader).toBe(true)
  })

  it('gives the lead back when it stops, only if it has it', async () => {
    const leader = candidate()
    await leader.leadership.begin()
    await leader.leadership.stop(1_000)
    await leader.leadership.stop(1_000)
    expect(leader.asked.slice(1)).toEqual([{ kind: 'resign', session: 'me' }])
    expect([leader.lifecycle.isLeader, leader.told]).toEqual([false, ['leads 1', 'lost 1']])
    const follower = candidate()
    follower.store.answer = () => Promise.resolve(led('other', 1))
    await follower.leadership.begin()
    await follower.leadership.stop(1_000)
    expect(follower.asked).toHaveLength(1)
  })
})

describe('listeners of what becomes of a process', () => {
  it('hear that it leads also when they come later, and nothing once they have left', async () => {
    const { leadership, lifecycle } = candidate()
    await leadership.begin()
    const heard: number[] = []
    lifecycle.onBecameLeader((term) => heard.push(term))
    lifecycle.onBecameLeader(() => heard.push(0))()
    await turn()
    expect(heard).toEqual([1])
  })

  it('hear what goes wrong in the background, as errors', () => {
    const { lifecycle } = candidate()
    const heard: Error[] = []
    const stop = lifecycle.onError((error) => heard.push(error))
    lifecycle.failed(new Error('one'))
    lifecycle.failed('two')
    stop()
    lifecycle.failed(new Error('three'))
    expect(heard.map(({ message }) => message)).toEqual(['one', expect.stringContaining('two')])
  })

  it('disturb nobody when they fail', async () => {
    const { leadership, lifecycle, log } = candidate()
    lifecycle.onBecameLeader(() => Promise.reject(new Error('late')))
    lifecycle.onBecameLeader(() => {
      throw new Error('odd')
    })
    await leadership.begin()
    await turn()
    expect(lifecycle.isLeader).toBe(true)
    expect(log.filter((line) => line.includes('listener')).sort()).toEqual([
      'a listener of onBecameLeader failed: Error: late',
      'a listener of onBecameLeader failed: Error: odd',
    ])
  })

  it('must be functions', () => {
    const { lifecycle } = candidate()
    const error = thrown(() => lifecycle.onError('x' as never))
    expect([error.code, error.message]).toEqual(['INVALID_OPTION', 'onError takes a function, got "x"'])
  })
})
