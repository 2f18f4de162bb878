/** The metrics of a client, made at the first call of `metrics()`: most clients need not load what makes them. */
import type { Metrics } from '../observe/metrics.js'
import type { Session } from '../session/open-session.js'

/** One a client. */
export class ClientMetrics {
  readonly #session: Session
  #made: Promise<Metrics> | undefined
  #isClosed = false

  constructor(session: Session) {
    this.#session = session
  }

  /** The text form, made now. */
  async text(): Promise<string> {
    this.#made ??= this.#make()
    return (await this.#made).text()
  }

  close(): void {
    this.#isClosed = true
    this.#made?.then(
      (metrics) => metrics.close(),
      () => undefined, // who asked for them knows
    )
  }

  async #make(): Promise<Metrics> {
    const { Metrics } = await import('../observe/metrics.js')
    const { emitter: events, engine, holdings, store } = this.#session
    const { clock } = engine.parts
    const metrics = new Metrics({
      process: {
        ...{ events, now: () => clock.now() },
        inFlight: () => holdings.branchesInFlight,
        isLeader: () => this.#session.lifecycle.isLeader,
        graphHits: () => engine.graphs.hits,
        tasks: engine.registry.taskNames(),
        storeNow: () => store.inspect.now(),
      },
    })
    if (this.#isClosed) metrics.close()
    return metrics
  }
}
