/**
 * The metrics of a process for Prometheus: of what happens in it, of the store that it is connected to, or of both. The store is asked when
 * the metrics are read. `promtool check metrics` accepts them.
 */
import { Registry } from 'prom-client'
import type { Events } from '../events.js'
import { ProcessMetrics, type ProcessSources } from './process-metrics.js'
import { type StoreSources, storeMetrics, type Totals } from './store-metrics.js'

/** What is exported. */
export interface MetricSources {
  /** Of a process that starts runs or runs branches. */
  readonly process?: ProcessSources & {
    readonly events: Events
    /** Our clock, in milliseconds since the epoch. */
    readonly now: () => number
    /** The store's clock in the same way, where `store` is not exported; rejects when the store does not answer. */
    readonly storeNow?: () => Promise<number>
  }
  readonly store?: StoreSources
}

/** One a process; `close` it. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #sources: MetricSources
  readonly #process: ProcessMetrics | undefined
  readonly #readStore: (() => Promise<void>) | undefined
  #reading: Promise<string> | undefined

  constructor(sources: MetricSources) {
    const { process, store } = sources
    this.#sources = sources
    if (process !== undefined) this.#process = new ProcessMetrics(this.#registry, process.events, process)
    // the totals have the time: the store is not asked for it once more
    if (store !== undefined) {
      const totals = (): Promise<Totals> =>
        this.#timed(
          () => store.totals(),
          ({ now }) => now,
        )
      this.#readStore = storeMetrics(this.#registry, { ...store, totals })
    }
  }

  /** For the header of the answer. */
  get contentType(): string {
    return this.#registry.contentType
  }

  /** The text form, made now. Who asks while it is being made gets the same: two readings at once would mix. */
  text(): Promise<string> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  close(): void {
    this.#process?.close()
  }

  async #read(): Promise<string> {
    await (this.#readStore?.() ?? this.#askForTime())
    return this.#registry.metrics()
  }

  async #askForTime(): Promise<void> {
    const { storeNow } = this.#sources.process ?? {}
    if (storeNow === undefined) return
    try {
      await this.#timed(storeNow, (now) => now)
    } catch {
      // what was not timed now is timed by the next reading
    }
  }

  /** The store answers somewhere between question and answer: the middle is the best guess. */
  async #timed<T>(ask: () => Promise<T>, timeIn: (answer: T) => number): Promise<T> {
    const { process } = this.#sources
    const asked = process?.now() ?? 0
    const answer = await ask()
    if (process !== undefined) this.#process?.timeReleases(timeIn(answer) - (asked + process.now()) / 2)
    return answer
  }
}
