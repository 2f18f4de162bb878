/** Calls that come at once, too late, or with nonsense, as callers without types make them. */
import { connect, each, task, type Graflow } from 'graflow'
import { failureOf } from '../support/captured-errors.js'

const graflow = (): Promise<Graflow> => connect({ logLevel: 'silent' })

describe('starts of one id at once, with flows of their own', () => {
  it('each run has the code of its flow, also where the other start came to nothing', async () => {
    await using client = await graflow()
    const first = task('same', () => 'of the first')
    const second = task('same', () => 'of the second')
    const refused = client.start(first, undefined, { id: 'x', durability: 'fsync' })
    const started = client.start(second, undefined, { id: 'x' })
    expect((await failureOf(refused)).code).toBe('NOT_AVAILABLE')
    expect(await (await started).result()).toBe('of the second')
  })
})

describe('queues', () => {
  it('of a client that is closed are told by it no more', async () => {
    const client = await graflow()
    await client.close()
    const { queues } = client
    const calls = [queues.list(), queues.get('default'), queues.pause('default'), queues.resume('default')]
    for (const error of await Promise.all(calls.map(failureOf)))
      expect(error).toMatchObject({ code: 'CLOSED', message: expect.stringContaining('is closed') })
  })
})

describe('a command on many runs', () => {
  it.each<readonly [string, object, string]>([
    ['cancel', { onProgres: () => undefined }, 'onProgress'],
    ['retry', { cursor: 7 }, 'cursor'],
    ['delete', { signal: {} }, 'signal'],
  ])('refuses nonsense in place of its options: %s', async (what, options, word) => {
    await using client = await graflow()
    const { runs } = client
    const call = runs[what as 'delete'](
      { state: 'completed' },
      options as never, // that is the point
    )
    expect(await failureOf(call)).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining(word) })
  })
})

describe('dead letters of one task', () => {
  it('have no page after the last of them', async () => {
    await using client = await graflow()
    const fails = (name: string) =>
      task(name, () => {
        throw new Error(name)
      })
    for (const name of ['other', 'meant', 'meant', 'other']) await failureOf(client.run(each(fails(name)), [1]))
    const { items, cursor } = await client.deadLetters.list({ task: 'meant', limit: 1 })
    expect(items).toHaveLength(1)
    const last = await client.deadLetters.list({ task: 'meant', limit: 1, ...(cursor !== undefined && { cursor }) })
    expect([last.items.length, last.cursor]).toEqual([1, undefined])
  })
})
