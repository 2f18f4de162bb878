/** Why runs stand still: of one run, or of all that are not over, run by run. */
import { GraflowError } from '../errors.js'
import { UNFINISHED_STATES } from '../events.js'
import { checkOptions, PAGE_OPTIONS } from '../options.js'
import type { Page, PageOptions, WaitListOptions } from '../producer/operator-types.js'
import type { OperatorServices } from '../producer/operators.js'
import type { RunWait, RunWaits } from '../producer/types.js'
import { reasonsOf } from './filters.js'
import { waitsOr } from './sift.js'

/** Runs that are looked at together; and for one page at most: many runs may wait for nothing. */
const RUNS_AT_ONCE = 32
const MOST_RUNS = 1_024

export class WaitList implements RunWaits {
  readonly #services: OperatorServices

  constructor(services: OperatorServices) {
    this.#services = services
  }

  async of(runId: string): Promise<readonly RunWait[]> {
    this.#services.checkOpen()
    return this.#services.waitsOf(runId)
  }

  async list(options?: WaitListOptions): Promise<Page<RunWait>> {
    this.#services.checkOpen()
    const untyped: unknown = options
    if (untyped === null || (untyped !== undefined && typeof untyped !== 'object'))
      checkOptions('waits.list', PAGE_OPTIONS, options) // says so
    const { why, ...page } = options ?? {}
    const { limit = PAGE_OPTIONS.limit.default, cursor } = checkOptions<PageOptions>('waits.list', PAGE_OPTIONS, page)
    const reasons = why === undefined ? undefined : reasonsOf('waits.list', why)
    const waitsOf = async (runId: string): Promise<readonly RunWait[]> =>
      (await waitsOr(this.#services.waitsOf, runId)).filter((wait) => reasons?.includes(wait.why) ?? true)
    const items: RunWait[] = []
    let { after, skip } = positionIn(cursor)
    for (let looked = 0; ; looked += RUNS_AT_ONCE) {
      const query = { states: UNFINISHED_STATES, limit: RUNS_AT_ONCE, ...(after !== undefined && { after }) }
      const runs = await this.#services.backend.inspect.runs(query)
      const waits = (await Promise.all(runs.items.map(({ runId }) => waitsOf(runId)))).flat()
      const left = waits.slice(skip)
      const taken = left.slice(0, limit - items.length)
      items.push(...taken)
      if (taken.length < left.length) return { items, cursor: `${skip + taken.length} ${after ?? ''}` }
      if (runs.after === undefined) return { items }
      if (items.length === limit || looked >= MOST_RUNS) return { items, cursor: `0 ${runs.after}` }
      after = runs.after
      skip = 0
    }
  }
}

/** Behind which runs a page begins, and how many waits of the next ones were on the page before. @throws GraflowError INVALID_OPTION */
function positionIn(cursor: string | undefined): { readonly after: string | undefined; readonly skip: number } {
  if (cursor === undefined) return { after: undefined, skip: 0 }
  const [, skip, after = ''] = /^(\d{1,9}) (.*)$/s.exec(cursor) ?? []
  if (skip !== undefined) return { after: after === '' ? undefined : after, skip: Number(skip) }
  throw new GraflowError('INVALID_OPTION', 'waits.list: cursor: expected what the page before said, got another text', {
    details: { option: 'cursor' },
  })
}
