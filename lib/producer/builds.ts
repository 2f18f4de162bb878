/** Which builds are at work, and which of them still have runs that nobody else may go on with. */
import type { Backend } from '../backend/backend.js'
import { buildCapability } from '../backend/reserved.js'
import { GraflowError } from '../errors.js'
import { checkOptions, PAGE_OPTIONS } from '../options.js'
import type { Build, Builds, Page, PageOptions } from './operator-types.js'

export class BuildList implements Builds {
  readonly #inspect: Pick<Backend['inspect'], 'sessions' | 'pinned'>

  constructor(inspect: Pick<Backend['inspect'], 'sessions' | 'pinned'>) {
    this.#inspect = inspect
  }

  async list(options?: PageOptions): Promise<Page<Build>> {
    const { limit = PAGE_OPTIONS.limit.default, cursor = '' } = checkOptions('builds.list', PAGE_OPTIONS, options)
    const [sessions, pinned] = await Promise.all([this.#inspect.sessions(), this.#inspect.pinned()])
    const found = new Map<string, Build>()
    for (const { build: buildId, runs } of pinned) found.set(buildId, { buildId, workers: 0, runs })
    for (const { buildId, role, queues } of sessions) {
      // An embedded client is its own worker.
      const isWorker = queues === 'all' || (role !== 'client' && role !== 'observer')
      if (buildId === undefined || !isWorker) continue
      const { workers, runs } = found.get(buildId) ?? { workers: 0, runs: 0 }
      found.set(buildId, { buildId, workers: workers + 1, runs })
    }
    const left = [...found.keys()].filter((buildId) => buildId > cursor).sort()
    const items = left.slice(0, limit).flatMap((buildId) => found.get(buildId) ?? [])
    const last = items.at(-1)
    return left.length > limit && last !== undefined ? { items, cursor: last.buildId } : { items }
  }
}

/** What a run requires that is pinned to the build of this client. @throws GraflowError INVALID_OPTION where it has none */
export function pinTo(buildId: string | undefined): { readonly build: string; readonly requires: readonly string[] } {
  if (buildId !== undefined) return { build: buildId, requires: [buildCapability(buildId)] }
  throw new GraflowError(
    'INVALID_OPTION',
    "run: pin: expected a client with a buildId to pin the run to, got one without: connect(address, { buildId: '2026.11.2' })",
    { details: { option: 'pin' } },
  )
}

/** A run that is pinned is driven by its build only. @throws GraflowError BUILD_MISMATCH */
export function checkBuild(runId: string, build: string | undefined, mine: string | undefined): void {
  if (build === undefined || build === mine) return
  throw new GraflowError(
    'BUILD_MISMATCH',
    `run "${runId}" is pinned to build ${build}, and this client is ${mine === undefined ? 'of none' : `of build ${mine}`}: ` +
      'resume it from a client with that buildId, or start a worker of that build',
    { details: { runId, build, ...(mine !== undefined && { mine }) } },
  )
}
