/**
 * The decision of a policy about its group. It is made once and kept, so that a reader of the result, and a driver that takes the run over, get
 * the same. Hides how long a policy may take: it counts against the `timeoutMs` of the group, whoever decides.
 */
import { GraflowError } from '../errors.js'
import type { Limits } from '../options.js'
import { elapsedMs, type Clock } from '../time.js'
import { encode } from '../values/codec.js'
import type { Frame } from './execution.js'
import type { GroupOutcomes } from './group-outcomes.js'
import type { GroupPlan } from './group-plan.js'
import { inTime } from './in-time.js'
import { policyResult, unknownPolicy } from './joins.js'

/** What a decision needs of the process. */
export interface DecisionOptions {
  readonly clock: Clock
  readonly limits: Pick<Limits, 'resultBytes' | 'runResultBytes'>
}

/**
 * What the policy makes of the group. What ends this part of the run ends the wait for it. A decision too large for the store is not kept.
 * @param startedAt of the group in this process, by `elapsedMs`
 * @throws GraflowError GROUP_TIMEOUT, and those of `policyResult`
 */
export async function decisionOf(
  { clock, limits }: DecisionOptions,
  frame: Frame,
  plan: GroupPlan,
  policyName: string,
  groupOutcomes: GroupOutcomes,
  startedAt: number,
): Promise<unknown> {
  const { timeoutMs } = plan
  const policy = frame.use.code.policy(policyName)
  if (policy === undefined) throw unknownPolicy(policyName, plan)
  const group = { ...plan, outcomes: groupOutcomes.outcomes(), succeeded: groupOutcomes.succeeded }
  const decide = ({ cancel }: Frame): Promise<unknown> =>
    cancel.race(policyResult(group, policy, limits.runResultBytes))
  const late = (): GraflowError => decisionTimeout(plan, policyName, timeoutMs)
  const deadlineAt = groupOutcomes.deadlineAt ?? startedAt + (timeoutMs ?? 0)
  const decision =
    timeoutMs === undefined
      ? await decide(frame)
      : await inTime(clock, frame, deadlineAt - elapsedMs(clock), late, decide)
  const bytes = encode(decision)
  if (bytes.length <= limits.resultBytes) frame.execution.save(plan.path, bytes)
  return decision
}

const decisionTimeout = (
  { label, path, name }: GroupPlan,
  policy: string,
  timeoutMs: number | undefined,
): GraflowError =>
  new GraflowError(
    'GROUP_TIMEOUT',
    `group ${label} took longer than its timeoutMs of ${timeoutMs}: policy "${policy}" had not decided`,
    { details: { group: path, name, policy, timeoutMs } },
  )
