/** Which runs a person means: checked, and as the store takes it. */
import type { RunQuery } from '../backend/backend.js'
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import { RUN_STATES, type RunStateName } from '../events.js'
import { didYouMean } from '../nearest.js'
import { checkOptions, PAGE_OPTIONS, type OptionTable } from '../options.js'
import type { RunFilter, RunListOptions } from '../producer/operator-types.js'

/** Looked at below, one by one. */
const FILTER = {
  workflow: { kind: 'string', help: '' },
  tag: { kind: 'string', help: '' },
  build: { kind: 'string', help: '' },
} as const satisfies OptionTable

/** @throws GraflowError INVALID_OPTION */
export function queryOf(what: string, given: RunListOptions = {}): RunQuery {
  const untyped: unknown = given
  if (typeof untyped !== 'object' || untyped === null) checkOptions(what, PAGE_OPTIONS, given) // says so
  const { cursor, limit = PAGE_OPTIONS.limit.default, ...filter } = given
  const page = checkOptions<{ limit?: number; cursor?: string }>(what, PAGE_OPTIONS, {
    ...(cursor !== undefined && { cursor }),
    limit,
  })
  return {
    ...criteriaOf(what, filter),
    limit: page.limit ?? PAGE_OPTIONS.limit.default,
    ...(cursor !== undefined && { after: cursor }),
  }
}

/** @throws GraflowError INVALID_OPTION, for a filter that names nothing, too: a word too few must not mean every run */
export function bulkCriteriaOf(what: string, filter: RunFilter): Omit<RunQuery, 'limit' | 'after'> {
  const criteria = criteriaOf(what, filter)
  if (Object.keys(criteria).length > 0) return criteria
  throw new GraflowError(
    'INVALID_OPTION',
    `${what}: expected a filter that names a state, workflow, tag, build, since or until, got one that names nothing`,
    { details: { option: 'filter' } },
  )
}

function criteriaOf(what: string, { state, since, until, ...rest }: RunFilter): Omit<RunQuery, 'limit' | 'after'> {
  const { workflow, tag, build } = checkOptions<{ workflow?: string; tag?: string; build?: string }>(what, FILTER, rest)
  const states = state === undefined ? undefined : statesOf(what, state)
  return {
    ...(states !== undefined && { states }),
    ...(workflow !== undefined && { workflow }),
    ...(tag !== undefined && { tag }),
    ...(build !== undefined && { build }),
    ...(since !== undefined && { since: timeOf(what, 'since', since) }),
    ...(until !== undefined && { until: timeOf(what, 'until', until) }),
  }
}

function statesOf(what: string, given: RunStateName | readonly RunStateName[]): readonly RunStateName[] {
  const states = (Array.isArray(given) ? [...(given as readonly RunStateName[])] : [given]) as readonly RunStateName[]
  const wrong = states.find((state) => !RUN_STATES.includes(state))
  if (wrong === undefined && states.length > 0) return states
  const got = states.length === 0 ? 'none' : `${describe(wrong)}${didYouMean(String(wrong), RUN_STATES)}`
  throw new GraflowError('INVALID_OPTION', `${what}: state: expected some of ${RUN_STATES.join(', ')}, got ${got}`, {
    details: { option: 'state' },
  })
}

function timeOf(what: string, option: 'since' | 'until', given: unknown): number {
  const ms = given instanceof Date ? given.getTime() : given
  if (typeof ms === 'number' && Number.isFinite(ms)) return ms
  throw new GraflowError(
    'INVALID_OPTION',
    `${what}: ${option}: expected a Date, or milliseconds since the epoch, got ${describe(given)}`,
    { details: { option } },
  )
}
