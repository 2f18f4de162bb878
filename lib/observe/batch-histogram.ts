/** A histogram that takes many equal values at once, which that of the library does not. */
import type { Metric, Registry } from 'prom-client'

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800] as const

interface Series {
  readonly counts: number[]
  count: number
  sum: number
}

const emptySeries = (): Series => ({ counts: SECONDS.map(() => 0), count: 0, sum: 0 })

/** Of seconds, with one label or none. */
export class BatchHistogram {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly #label: string | undefined
  readonly #series = new Map<string, Series>()

  /** @param label without one there is one series, which is there from the start */
  constructor(registry: Registry, name: string, help: string, label?: string) {
    this.name = name
    this.help = help
    this.#label = label
    if (label === undefined) this.#series.set('', emptySeries())
    // What reads a metric asks for no more than these: the type has what only a metric of the library's own can have.
    registry.registerMetric(this as unknown as Metric)
  }

  /** So many times this value. `label` is the value of its label, where it has one. */
  observe(seconds: number, count: number, label = ''): void {
    let series = this.#series.get(label)
    if (series === undefined) this.#series.set(label, (series = emptySeries()))
    series.count += count
    series.sum += seconds * count
    const bucket = SECONDS.findIndex((le) => seconds <= le)
    if (bucket >= 0) series.counts[bucket] = (series.counts[bucket] ?? 0) + count
  }

  reset(): void {
    this.#series.clear()
  }

  /** As the registry asks for it. */
  get(): Promise<object> {
    const values: object[] = []
    for (const [value, { counts, count, sum }] of this.#series) {
      const labels = this.#label === undefined ? {} : { [this.#label]: value }
      let below = 0
      for (const [i, le] of SECONDS.entries()) {
        below += counts[i] ?? 0
        values.push({ metricName: `${this.name}_bucket`, labels: { ...labels, le }, value: below })
      }
      values.push({ metricName: `${this.name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count })
      values.push({ metricName: `${this.name}_sum`, labels, value: sum })
      values.push({ metricName: `${this.name}_count`, labels, value: count })
    }
    return Promise.resolve({ name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values })
  }
}
