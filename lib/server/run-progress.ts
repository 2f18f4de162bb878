/** How far runs of a list are. What one caller has asked is kept for a moment for the others: lists are looked at again and again. */
import { UNFINISHED_STATES } from '../events.js'
import type { RunSummary } from '../producer/operator-types.js'
import type { RunStatus } from '../producer/types.js'
import { elapsedMs } from '../time.js'
import type { ServerServices } from './services.js'

const KEPT_MS = 1_000
const MOST_KEPT = 5_000
const AT_ONCE = 16

interface Progress {
  readonly done: number
  readonly total: number
  /** Of what is done: branches that failed, or whose workers were lost too often. */
  readonly failed: number
}

const failedOf = ({ groups }: RunStatus): number => groups.reduce((sum, { failed, dead }) => sum + failed + dead, 0)

/** One a server. */
export class RunProgressCache {
  readonly #services: Pick<ServerServices, 'graflow' | 'clock'>
  readonly #known = new Map<string, { readonly at: number; readonly progress: Promise<Progress | undefined> }>()

  constructor(services: Pick<ServerServices, 'graflow' | 'clock'>) {
    this.#services = services
  }

  /** The runs with `done`, `failed` and `total` of those that are not over. */
  async of(runs: readonly RunSummary[]): Promise<readonly (RunSummary & Partial<Progress>)[]> {
    const found: (RunSummary & Partial<Progress>)[] = [...runs]
    const left = runs.entries()
    const work = async (): Promise<void> => {
      for (const [i, run] of left) {
        if (!UNFINISHED_STATES.includes(run.state)) continue
        const progress = await this.#progressOf(run.id)
        if (progress !== undefined) found[i] = { ...run, ...progress }
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    return found
  }

  #progressOf(id: string): Promise<Progress | undefined> {
    const now = elapsedMs(this.#services.clock)
    const known = this.#known.get(id)
    if (known !== undefined && now - known.at < KEPT_MS) return known.progress
    const progress = this.#services.graflow.runs
      .get(id)
      .then((status) =>
        status === undefined ? undefined : { done: status.done, total: status.total, failed: failedOf(status) },
      )
    progress.catch(() => this.#known.delete(id))
    this.#known.delete(id)
    this.#known.set(id, { at: now, progress })
    if (this.#known.size > MOST_KEPT)
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest)
        break
      }
    return progress
  }
}
