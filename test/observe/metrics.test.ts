/** What a reading makes of events and of a store's answers. */
import { Emitter } from '../../lib/events.js'
import { Metrics } from '../../lib/observe/metrics.js'

const process = { tasks: [], inFlight: () => 0, graphHits: () => 0, now: () => 1_000 }

describe('a reading', () => {
  it("has the time of every release since the last, by the store's clock", async () => {
    const events = new Emitter(() => 1_000)
    const metrics = new Metrics({ process: { ...process, events, storeNow: () => Promise.resolve(1_500) } })
    const release = (releasedAt: number): void => events.emit('barrier:released', { runId: 'r', path: '0', releasedAt })
    for (let i = 0; i < 12_000; i += 1) release(1_400)
    for (let i = 0; i < 12_000; i += 1) release(1_000 - i)
    const lines = (await metrics.text()).split('\n')
    metrics.close()
    expect(lines).toContain('graflow_barrier_release_seconds_count 24000')
    // 12 000 of 0.1 s, then one each of 0.5 s, 0.501 s, …
    const sum = Number(lines.find((line) => line.startsWith('graflow_barrier_release_seconds_sum'))?.split(' ')[1])
    expect(sum).toBeCloseTo(1_200 + 12_000 * (0.5 + 11.999 / 2), 3)
  })

  it('asks the store for its time only with the totals, and one question for all who ask at once', async () => {
    const asked: string[] = []
    const answer =
      <T>(what: string, found: T): (() => Promise<T>) =>
      async () => {
        asked.push(what)
        return found
      }
    const metrics = new Metrics({
      process: { ...process, events: new Emitter(() => 1_000), storeNow: answer('time', 0) },
      store: {
        ...{ keyPrefix: 'p', ownQueues: [], onLeftOut: () => undefined, ping: answer('ping', undefined) },
        ...{ queues: answer('queues', []), serving: answer('serving', []), isLed: answer('isLed', false) },
        totals: answer('totals', { now: 1_000, ended: [], deadLetters: 0, candidates: 0, bytes: {} }),
      },
    })
    await Promise.all([metrics.text(), metrics.text()])
    metrics.close()
    expect(asked.sort()).toEqual(['isLed', 'ping', 'queues', 'serving', 'totals'])
  })
})
