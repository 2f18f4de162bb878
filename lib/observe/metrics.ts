/**
 * The metrics of a process for Prometheus: of what happens in it, of the store that it is connected to, or of both. The store is asked when
 * the metrics are read. `promtool check metrics` accepts them.
 */
import { Registry } from 'prom-client'
import type { Events } from '../events.js'
import { ProcessMetrics, type ProcessSources } from './process-metrics.js'
import { type StoreSources, storeMetrics } from './store-metrics.js'

/** What is exported. */
export interface MetricSources {
  /** Of a process that starts runs or runs branches. */
  readonly process?: ProcessSources & {
    readonly events: Events
    /** Our clock, in milliseconds since the epoch. */
    readonly now: () => number
    /** The store's clock in the same way; rejects when the store does not answer. */
    readonly storeNow: () => Promise<number>
  }
  readonly store?: StoreSources
}

/** One a process; `close` it. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #sources: MetricSources
  readonly #process: ProcessMetrics | undefined
  readonly #readStore: (() => Promise<void>) | undefined

  constructor(sources: MetricSources) {
    const { process, store } = sources
    this.#sources = sources
    if (process !== undefined) this.#process = new ProcessMetrics(this.#registry, process.events, process)
    if (store !== undefined) this.#readStore = storeMetrics(this.#registry, store)
  }

  /** For the header of the answer. */
  get contentType(): string {
    return this.#registry.contentType
  }

  /** The text form, made now. */
  async text(): Promise<string> {
    await Promise.all([this.#readStore?.(), this.#compareClocks()])
    return this.#registry.metrics()
  }

  close(): void {
    this.#process?.close()
  }

  /** The store answers somewhere between question and answer: the middle is the best guess. */
  async #compareClocks(): Promise<void> {
    const { process } = this.#sources
    if (process === undefined) return
    const asked = process.now()
    try {
      const there = await process.storeNow()
      this.#process?.timeReleases(there - (asked + process.now()) / 2)
    } catch {
      // what was not timed now is timed by the next reading
    }
  }
}
