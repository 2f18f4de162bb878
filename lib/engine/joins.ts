/** What a released group gives: the outcomes of its branches, judged by the join that the graph declares. */
import type { OutcomeKind } from '../backend/backend.js'
import { messageOf } from '../describe.js'
import { GraflowError } from '../errors.js'
import type { PolicyJoin } from '../flow/collect.js'
import type { Outcome } from '../flow/types.js'
import type { GraphJoin } from '../graph/graph.js'
import { named } from '../values/item-label.js'
import type { LabelOf } from './branch-labels.js'
import { ofWhom } from '../values/captured.js'
import { decode, encode } from '../values/codec.js'
import { askable } from '../values/error-record.js'

/** A group as its join sees it. */
export interface JoinedGroup {
  /** How messages call it: its name, or its path. */
  readonly label: string
  readonly name: string | undefined
  readonly path: string
  readonly join: GraphJoin
  readonly keys: readonly string[] | undefined
  /** How a member is called: its key, its task's or workflow's name, or its number. */
  readonly memberOf: (index: number) => string
  /** Of an each that labels its branches. */
  readonly labelOf?: LabelOf
  readonly outcomes: readonly Outcome<unknown>[]
  /** Indexes in the order in which they succeeded. */
  readonly succeeded: readonly number[]
}

/** Members that the errors and details of a failed group name at most; a group may have 100 000. */
const MOST_NAMED = 100

/** A tuple or array as it is, a record with its keys. */
export function shaped<T>(keys: readonly string[] | undefined, items: readonly T[]): readonly T[] | Record<string, T> {
  if (keys === undefined) return items
  return Object.fromEntries(keys.map((key, i) => [key, items[i] as T])) // as many keys as items
}

/**
 * The result of the group, for every join but a policy, whose decision is the caller's.
 * @throws GraflowError GROUP_FAILED with the outcomes of its members, as `groupFailed` lists them
 */
export function joinResult(group: JoinedGroup & { readonly join: Exclude<GraphJoin, { kind: 'policy' }> }): unknown {
  const { join, outcomes, keys, succeeded } = group
  switch (join.kind) {
    case 'strict': {
      if (succeeded.length < outcomes.length)
        throw groupFailed(group, `${succeeded.length} of ${outcomes.length} branches succeeded, all must`)
      return shaped(keys, outcomes.map(valueOf))
    }
    case 'settled':
      return shaped(keys, outcomes)
    case 'atLeast': {
      if (succeeded.length < join.count)
        throw groupFailed(group, `${succeeded.length} of ${join.count} needed branches succeeded`)
      return shaped(keys, outcomes)
    }
    case 'critical': {
      const isCritical = (index: number): boolean => join.members.includes(group.memberOf(index))
      const lost = outcomes.flatMap((outcome, i) =>
        isCritical(i) && outcome.status !== 'succeeded' ? [group.memberOf(i)] : [],
      )
      if (lost.length > 0)
        throw groupFailed(
          group,
          `critical ${lost.length === 1 ? 'branch' : 'branches'} ${lost.join(', ')} did not succeed`,
          isCritical,
        )
      return shaped(
        keys,
        outcomes.map((outcome, i) => (isCritical(i) ? valueOf(outcome) : outcome)),
      )
    }
    case 'first': {
      const winner = succeeded[0]
      if (winner === undefined) throw groupFailed(group, `none of ${outcomes.length} branches succeeded, one must`)
      return valueOf(outcomes[winner] as Outcome<unknown>) // succeeded holds indexes of outcomes
    }
    default:
      return join satisfies never
  }
}

/**
 * What the group's policy decides, as it would arrive from another process.
 * @throws GraflowError GROUP_FAILED with what the policy threw as the cause; NOT_SERIALISABLE, LIMIT_EXCEEDED
 */
export async function policyResult(group: JoinedGroup, policy: PolicyJoin, maxBytes: number): Promise<unknown> {
  const what = `the result of policy "${policy.name}" of group ${group.label}`
  try {
    const decided: unknown = await policy.decide(shaped(group.keys, group.outcomes) as never) // the type is the policy's own
    return decode(encode(decided, what, maxBytes, 'runResultBytes'))
  } catch (caught) {
    const thrown = askable(caught)
    if (thrown instanceof GraflowError && (thrown.code === 'NOT_SERIALISABLE' || thrown.code === 'LIMIT_EXCEEDED'))
      throw ofWhom(thrown, what)
    const { message, details, errors } = groupFailed(group, `policy "${policy.name}" refused: ${messageOf(thrown)}`)
    throw new GraflowError('GROUP_FAILED', message, { cause: thrown, details, errors })
  }
}

/** NO_SUCH_POLICY: a stored graph names it, and no module here defines it. */
export const unknownPolicy = (policy: string, { label, path }: Pick<JoinedGroup, 'label' | 'path'>): GraflowError =>
  new GraflowError(
    'NO_SUCH_POLICY',
    `group ${label} joins by policy "${policy}", which this process does not know: import the module that defines it`,
    { details: { policy, path } },
  )

/** NO_SUCH_POLICY: a run cannot be taken up here, since this process would fail it. */
export const missingPolicy = (policy: string, runId: string): GraflowError =>
  new GraflowError(
    'NO_SUCH_POLICY',
    `a group of run "${runId}" joins by policy "${policy}", which this process does not know: give the run's flow, or the policy in connect({ tasks })`,
    { details: { policy, runId } },
  )

function valueOf(outcome: Outcome<unknown>): unknown {
  if (outcome.status !== 'succeeded')
    throw new GraflowError('INTERNAL', `expected a succeeded branch, got ${outcome.status}`)
  return outcome.value
}

/**
 * GROUP_FAILED. Its details have the outcome of every member, with messages and stacks; of a group of more than 100, only the first 100 that
 * did not succeed, and the number of all others as `omitted`. The first failure is its cause.
 */
export function groupFailed(
  group: Omit<JoinedGroup, 'join' | 'keys' | 'succeeded'> & { readonly join: { readonly kind: string } },
  why: string,
  isBlamed: (index: number) => boolean = () => true,
): GraflowError {
  const { outcomes, memberOf, labelOf } = group
  const nameOf = (index: number): string => named(memberOf(index), labelOf?.(index))
  const counts: Partial<Record<OutcomeKind, number>> = {}
  for (const { status } of outcomes) counts[status] = (counts[status] ?? 0) + 1
  const lost = outcomes.flatMap((outcome, index) => (outcome.status === 'succeeded' ? [] : [{ index, outcome }]))
  // Withdrawn branches are a consequence: those that failed by themselves are named first.
  const failed = lost.filter(({ outcome }) => outcome.status === 'failed' || outcome.status === 'dead')
  const blamed = failed.filter(({ index }) => isBlamed(index))
  const chosen = [...reasonsOf(blamed.length > 0 ? blamed : failed.length > 0 ? failed : lost)].slice(0, 3)
  const reasons = chosen.map(
    ([error, { status, indexes }]) => `${someMembers(indexes, nameOf)} ${status}: ${error.message}`,
  )
  const shown = chosen.reduce((count, [, { indexes }]) => count + indexes.length, 0)
  const more = failed.length > shown ? `; and ${failed.length - shown} more` : ''
  const cause = chosen[0]?.[0]
  return new GraflowError(
    'GROUP_FAILED',
    `group ${group.label} failed: ${why}${reasons.length > 0 ? ` (${reasons.join('; ')}${more})` : ''}`,
    {
      ...(cause !== undefined && { cause }),
      errors: [...reasonsOf(failed.slice(0, MOST_NAMED)).keys()],
      details: {
        group: group.path,
        ...(group.name !== undefined && { name: group.name }),
        join: group.join.kind,
        counts,
        // Members of a large group that are not listed below.
        ...(outcomes.length > MOST_NAMED && { omitted: outcomes.length - Math.min(lost.length, MOST_NAMED) }),
        outcomes: (outcomes.length <= MOST_NAMED
          ? outcomes.map((outcome, index) => ({ index, outcome }))
          : lost.slice(0, MOST_NAMED)
        ).map(({ index, outcome }) => memberReport(memberOf(index), labelOf?.(index), index, outcome)),
      },
    },
  )
}

interface Lost {
  readonly index: number
  readonly outcome: Exclude<Outcome<unknown>, { status: 'succeeded' }>
}

/** Each error once, with those that it ended: what is wrong with a group as a whole ends several. */
function reasonsOf(
  lost: readonly Lost[],
): Map<GraflowError, { readonly status: OutcomeKind; readonly indexes: number[] }> {
  const reasons = new Map<GraflowError, { readonly status: OutcomeKind; readonly indexes: number[] }>()
  for (const { index, outcome } of lost) {
    const known = reasons.get(outcome.error)
    if (known === undefined) reasons.set(outcome.error, { status: outcome.status, indexes: [index] })
    else known.indexes.push(index)
  }
  return reasons
}

const someMembers = (indexes: readonly number[], nameOf: (index: number) => string): string => {
  const names = indexes.slice(0, 3).map(nameOf).join(', ')
  return indexes.length <= 3 ? names : `${names} and ${indexes.length - 3} more`
}

function memberReport(
  member: string,
  label: string | undefined,
  index: number,
  outcome: Outcome<unknown>,
): Record<string, unknown> {
  const who = { member, index, ...(label !== undefined && { label }), status: outcome.status }
  if (outcome.status === 'succeeded') return who
  const { code, message, stack } = outcome.error
  return { ...who, code, message, ...(stack !== undefined && { stack }) }
}
