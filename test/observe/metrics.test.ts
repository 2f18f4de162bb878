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
        waits: answer('waits', undefined),
        totals: answer('totals', { now: 1_000, ended: [], deadLetters: 0, candidates: 0, bytes: {} }),
      },
    })
    await Promise.all([metrics.text(), metrics.text()])
    metrics.close()
    expect(asked.sort()).toEqual(['isLed', 'ping', 'queues', 'serving', 'totals', 'waits'])
  })

  it('FT-H16: has at most 200 queues and workflows by name, whatever is started, and escapes what they are called', async () => {
    const odd = (i: number): string => `a"b\\c\n${i}`
    const names = Array.from({ length: 10_000 }, (_, i) => odd(i))
    const metrics = new Metrics({
      store: {
        ...{ keyPrefix: 'p', ownQueues: ['own'], onLeftOut: () => undefined, ping: () => Promise.resolve() },
        queues: () =>
          Promise.resolve(
            names.map((queue, i) => ({ queue, ready: i, granted: 1, oldestMs: i === 5 ? 9_000 : undefined })),
          ),
        serving: () => Promise.resolve([{ queues: [odd(1), odd(9_999)], workers: 2 }]),
        isLed: () => Promise.resolve(true),
        waits: () => Promise.resolve({ signal: 3, busy: 0 }),
        totals: () =>
          Promise.resolve({
            ...{ now: 1_000, deadLetters: 0, candidates: 0, bytes: {} },
            ended: names.map((workflow, i) => ({ workflow, state: 'completed', count: i + 1 })),
          }),
      },
    })
    const lines = (await metrics.text()).split('\n')
    metrics.close()
    const of = (name: string): readonly string[] => lines.filter((line) => line.startsWith(`${name}{`))
    expect(of('graflow_waits')).toEqual([
      'graflow_waits{why="signal",key_prefix="p"} 3',
      'graflow_waits{why="busy",key_prefix="p"} 0',
    ])
    const depths = of('graflow_queue_depth')
    expect(depths).toHaveLength(201)
    expect(depths).toContain('graflow_queue_depth{key_prefix="p",queue="own"} 0')
    expect(depths).toContain('graflow_queue_depth{key_prefix="p",queue="a\\"b\\\\c\\n9999"} 9999')
    const sum = (series: readonly string[]): number =>
      series.reduce((all, line) => all + Number(line.split(' ').at(-1)), 0)
    expect(sum(depths)).toBe((10_000 * 9_999) / 2)
    expect(of('graflow_queue_oldest_seconds')).toContain('graflow_queue_oldest_seconds{key_prefix="p",queue="other"} 9')
    expect(of('graflow_workers')).toContain('graflow_workers{key_prefix="p",queue="other"} 2')
    const runs = of('graflow_runs_total')
    expect(runs).toHaveLength(201 * 3)
    expect(sum(runs)).toBe((10_000 * 10_001) / 2)
  })
})
