/** Which runs a person means: checked, and as the store takes it. */
import type { RunQuery } from '../backend/backend.js'
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import { RUN_STATES, UNFINISHED_STATES, type RunStateName } from '../events.js'
import { didYouMean } from '../nearest.js'
import { checkOptions, PAGE_OPTIONS, type OptionTable } from '../options.js'
import type { RunFilter, RunListOptions } from '../producer/operator-types.js'
import { WAIT_REASONS, type WaitReason } from '../producer/wait-reasons.js'
import type { Sift } from './sift.js'

/** Looked at below, one by one. */
const FILTER = {
  workflow: { kind: 'string', help: '' },
  tag: { kind: 'string', help: '' },
  build: { kind: 'string', help: '' },
  error: { kind: 'string', pattern: /^.{1,256}$/su, form: { says: 'a code or name', isSecret: false }, help: '' },
  message: { kind: 'string', pattern: /^.{1,256}$/su, form: { says: 'words of a message', isSecret: false }, help: '' },
} as const satisfies OptionTable

type Texts = { readonly [K in keyof typeof FILTER]?: string }

/** What the store is asked for, and what each run that it finds is looked at for. No states: no run can match. */
interface Criteria {
  readonly query: Omit<RunQuery, 'limit' | 'after'>
  readonly sift?: Sift
}

/** @throws GraflowError INVALID_OPTION */
export function listingOf(
  what: string,
  given: RunListOptions = {},
): { readonly query: RunQuery; readonly sift?: Sift } {
  const untyped: unknown = given
  if (typeof untyped !== 'object' || untyped === null) checkOptions(what, PAGE_OPTIONS, given) // says so
  const { cursor, limit = PAGE_OPTIONS.limit.default, ...filter } = given
  const page = checkOptions<{ limit?: number; cursor?: string }>(what, PAGE_OPTIONS, {
    ...(cursor !== undefined && { cursor }),
    limit,
  })
  const { query, ...sift } = criteriaOf(what, filter)
  const asked = { ...query, limit: page.limit ?? PAGE_OPTIONS.limit.default }
  return { ...sift, query: { ...asked, ...(cursor !== undefined && { after: cursor }) } }
}

/** @throws GraflowError INVALID_OPTION, for a filter that names nothing, too: a word too few must not mean every run */
export function bulkCriteriaOf(what: string, filter: RunFilter): Criteria {
  const criteria = criteriaOf(what, filter)
  if (Object.keys(criteria.query).length > 0) return criteria
  throw new GraflowError(
    'INVALID_OPTION',
    `${what}: expected a filter that names ${FILTER_NAMES}, got one that names nothing`,
    { details: { option: 'filter' } },
  )
}

/** For messages. */
export const FILTER_NAMES = 'a state, workflow, tag, build, since, until, error, message or why'

function criteriaOf(what: string, { state, since, until, why, ...rest }: RunFilter): Criteria {
  const { error, message, ...words } = checkOptions<Texts>(what, FILTER, rest)
  const reasons = why === undefined ? undefined : reasonsOf(what, why)
  const sift = {
    ...(error !== undefined && { error }),
    ...(message !== undefined && { message }),
    ...(reasons !== undefined && { why: reasons }),
  }
  const isSifted = Object.keys(sift).length > 0
  const states = statesAmong(state === undefined ? undefined : someOf(what, 'state', state, RUN_STATES), sift)
  const query = {
    ...(states !== undefined && { states }),
    ...words,
    ...(since !== undefined && { since: timeOf(what, 'since', since) }),
    ...(until !== undefined && { until: timeOf(what, 'until', until) }),
  }
  return { query, ...(isSifted && { sift }) }
}

/** Only some runs have an error, and only others wait. */
function statesAmong(states: readonly RunStateName[] | undefined, sift: Sift): readonly RunStateName[] | undefined {
  const isOfError = sift.error !== undefined || sift.message !== undefined
  const withError = isOfError ? among(states, ENDED_WITH_ERROR) : states
  return sift.why === undefined ? withError : among(withError, UNFINISHED_STATES)
}

const ENDED_WITH_ERROR: readonly RunStateName[] = ['failed', 'cancelled']

/** Those of `able` that are asked for. */
export const among = (
  states: readonly RunStateName[] | undefined,
  able: readonly RunStateName[],
): readonly RunStateName[] => able.filter((state) => states?.includes(state) ?? true)

/** @throws GraflowError INVALID_OPTION */
export const reasonsOf = (what: string, given: WaitReason | readonly WaitReason[]): readonly WaitReason[] =>
  someOf(what, 'why', given, WAIT_REASONS)

function someOf<T extends string>(
  what: string,
  option: string,
  given: T | readonly T[],
  known: readonly T[],
): readonly T[] {
  const words = (Array.isArray(given) ? [...(given as readonly T[])] : [given]) as readonly T[]
  const wrong = words.find((word) => !known.includes(word))
  if (wrong === undefined && words.length > 0) return words
  const got = words.length === 0 ? 'none' : `${describe(wrong)}${didYouMean(String(wrong), known)}`
  throw new GraflowError('INVALID_OPTION', `${what}: ${option}: expected some of ${known.join(', ')}, got ${got}`, {
    details: { option },
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
