/**
 * Makes all expressions. Each is frozen, in its canonical form (sequences flat, critical members in written order), and checked: an expression that
 * was made can be run.
 */
import { GraflowError } from '../errors.js'
import { checkContents, type PolicyJoin } from './collect.js'
import { describe, quote } from '../describe.js'
import type {
  ChooseExpression,
  EachExpression,
  Expression,
  GroupExpression,
  Handler,
  Join,
  LaterExpression,
  LoopExpression,
  SequenceExpression,
  TaskExpression,
  WaitExpression,
  WorkflowExpression,
} from './expression.js'
import type { GroupOptions, WorkflowOptions } from './node-options.js'
import { FLOW_LIMITS } from './limits.js'
import { checkName } from './names.js'
import { didYouMean } from '../nearest.js'
import type { CheckedTaskOptions, CheckedWaitOptions } from './options.js'

const NO_OPTIONS: GroupOptions = Object.freeze({})
const STRICT = Object.freeze({ kind: 'strict' } as const)

function made<E extends Expression>(expression: E): E {
  Object.freeze(expression)
  checkContents(expression)
  return expression
}

/** A task whose name and options are checked already. */
export function makeTask(name: string, checked: CheckedTaskOptions, handler?: Handler): TaskExpression {
  return made({ kind: 'task', name, ...checked, ...(handler !== undefined && { handler }) })
}

/** Steps one after the other, those of inner sequences in their place; of one step, the step itself. */
export function makeSequence(first: Expression, ...rest: readonly Expression[]): Expression {
  return sequenceOf([first, ...rest]) ?? first
}

/** The same from a list; undefined for an empty one. */
export function sequenceOf(parts: readonly Expression[]): Expression | undefined {
  if (parts.length <= 1) return parts[0]
  const steps = parts.flatMap((part) => (part.kind === 'sequence' ? part.steps : part))
  return made<SequenceExpression>({ kind: 'sequence', steps: Object.freeze(steps) })
}

/**
 * Branches side by side: a tuple, or a record when there are keys, of the same length.
 * @throws GraflowError EMPTY_GROUP, LIMIT_EXCEEDED, DUPLICATE_TASK
 */
export function makeGroup(branches: readonly Expression[], keys?: readonly string[]): GroupExpression {
  if (branches.length === 0)
    throw new GraflowError('EMPTY_GROUP', 'a group needs at least one branch: par(a, b) or par({ x: a, y: b })')
  return makeGroupLike({ branches, join: STRICT, options: NO_OPTIONS, ...(keys !== undefined && { keys }) })
}

function makeGroupLike(parts: Omit<GroupExpression, 'kind'>): GroupExpression {
  const { keys, branches, join, options } = parts
  if (branches.length > FLOW_LIMITS.branches) {
    throw new GraflowError(
      'LIMIT_EXCEEDED',
      `a group may have ${FLOW_LIMITS.branches} branches, this has ${branches.length}; for the same work on many items take each(node)`,
      { details: { branches: branches.length, limit: FLOW_LIMITS.branches } },
    )
  }
  return made({
    kind: 'group',
    ...(keys !== undefined && { keys: Object.freeze([...keys]) }),
    branches: Object.freeze([...branches]),
    join,
    options,
  })
}

/**
 * `a.with(b)`: on a tuple group that no join has closed one branch more, its options kept; else a group of two.
 * @throws GraflowError INVALID_NODE for a record group, whose branches need keys; LIMIT_EXCEEDED, DUPLICATE_TASK
 */
export function makeBeside(left: Expression, right: Expression): GroupExpression {
  if (left.kind !== 'group' || left.join.kind !== 'strict') return makeGroup([left, right])
  if (left.keys !== undefined) {
    throw new GraflowError(
      'INVALID_NODE',
      `with cannot add to a record group, whose branches have the keys ${left.keys.join(', ')}: give the branch a key, as in par({ …, key: branch })`,
    )
  }
  return makeGroupLike({ ...left, branches: [...left.branches, right] })
}

/** `body` for every item of an array. */
export function makeEach(body: Expression): EachExpression {
  return made({ kind: 'each', body, join: STRICT, options: NO_OPTIONS })
}

/** The same group with other options. */
export function makeConfigured<E extends GroupExpression | EachExpression>(group: E, options: GroupOptions): E {
  return made({ ...group, options })
}

/**
 * The same group with a join.
 * @throws GraflowError JOIN_IMPOSSIBLE for a second join, more than there are, or a name that is no member; INVALID_OPTION
 */
export function makeJoined(group: GroupExpression | EachExpression, join: Join): Expression {
  if (group.join.kind !== 'strict') {
    throw new GraflowError(
      'JOIN_IMPOSSIBLE',
      `this group has a join already, ${group.join.kind}, and cannot also have ${join.kind}: declare one on the group itself`,
      { details: { join: join.kind, before: group.join.kind } },
    )
  }
  if (join.kind === 'atLeast') checkAtLeast(group, join.count)
  if (group.kind === 'each') {
    if (join.kind === 'critical') {
      throw new GraflowError(
        'JOIN_IMPOSSIBLE',
        'each has no critical: its branches are items and have no names; take atLeast(n) or a policy',
      )
    }
    return made<EachExpression>({ ...group, join: Object.freeze(join) })
  }
  return made<GroupExpression>({
    ...group,
    join: Object.freeze(
      join.kind === 'critical' ? { kind: 'critical', members: criticalMembers(group, join.members) } : join,
    ),
  })
}

function checkAtLeast(group: GroupExpression | EachExpression, count: unknown): void {
  if (!Number.isSafeInteger(count) || (count as number) < 1) {
    throw new GraflowError(
      'INVALID_OPTION',
      `atLeast takes how many branches must succeed, an integer of at least 1, got ${describe(count)}`,
      {
        details: { option: 'count' },
      },
    )
  }
  if (group.kind === 'group' && (count as number) > group.branches.length) {
    throw new GraflowError(
      'JOIN_IMPOSSIBLE',
      `atLeast(${String(count)}) of ${group.branches.length} branches can never be reached`,
      {
        details: { count, branches: group.branches.length },
      },
    )
  }
}

/** In the order of the group, each once: the order in which they are named says nothing. */
function criticalMembers(group: GroupExpression, asked: readonly unknown[]): readonly string[] {
  if (asked.length === 0) {
    throw new GraflowError('INVALID_OPTION', `critical takes the members that must succeed, such as critical('geo')`)
  }
  const members = [...new Set(group.keys ?? group.branches.flatMap((branch) => ('name' in branch ? branch.name : [])))]
  for (const name of asked) {
    if (typeof name === 'string' && members.includes(name)) continue
    const what = typeof name === 'string' ? quote(name) : describe(name)
    const meant = typeof name === 'string' ? didYouMean(name, members) : ''
    const list =
      members.length === 0
        ? 'no branch of this group has a name; take the record form, par({ key: branch })'
        : `the members with a name are ${members.join(', ')}`
    throw new GraflowError('JOIN_IMPOSSIBLE', `critical: ${what} is no member of the group${meant}; ${list}`, {
      details: { member: name, members },
    })
  }
  return Object.freeze(members.filter((member) => asked.includes(member)))
}

/** Whether a value is what `policy` gives, also where another copy of graflow made it. */
export function isPolicy(value: unknown): value is PolicyJoin {
  if (typeof value !== 'object' || value === null) return false
  try {
    const { kind, name, decide } = value as Partial<PolicyJoin>
    return kind === 'policy' && typeof name === 'string' && typeof decide === 'function'
  } catch {
    return false // a getter or proxy that throws
  }
}

/** A policy's join. @throws GraflowError INVALID_NAME, INVALID_OPTION */
export function makePolicy(name: unknown, decide: unknown): PolicyJoin {
  const checked = checkName('policy', name)
  if (typeof decide !== 'function') {
    throw new GraflowError(
      'INVALID_OPTION',
      `policy "${checked}": it must be a function of the outcomes, got ${describe(decide)}`,
      { details: { policy: checked, option: 'decide' } },
    )
  }
  return Object.freeze({ kind: 'policy', name: checked, decide: decide as PolicyJoin['decide'] })
}

/** @throws GraflowError EMPTY_GROUP, LIMIT_EXCEEDED, DUPLICATE_TASK */
export function makeChoose(
  decide: Expression,
  cases: readonly (readonly [key: string, node: Expression])[],
): ChooseExpression {
  if (cases.length === 0)
    throw new GraflowError('EMPTY_GROUP', 'choose needs at least one case: choose(decide, { high: a, low: b })')
  if (cases.length > FLOW_LIMITS.branches) {
    throw new GraflowError(
      'LIMIT_EXCEEDED',
      `a choose may have ${FLOW_LIMITS.branches} cases, this has ${cases.length}`,
    )
  }
  return made({
    kind: 'choose',
    decide,
    cases: Object.freeze(cases.map(([key, node]) => Object.freeze([key, node] as const))),
  })
}

export function makeLoop(body: Expression, maxCycles: number): LoopExpression {
  return made({ kind: 'loop', body, maxCycles })
}

export function makeWorkflow(name: string, body: Expression, options: WorkflowOptions): WorkflowExpression {
  return made({ kind: 'workflow', name, body, options })
}

export function makeWait(name: string, checked: CheckedWaitOptions): WaitExpression {
  return made({ kind: 'wait', name, ...checked })
}

/** @throws GraflowError DUPLICATE_TASK, LIMIT_EXCEEDED (nesting) */
export function makeLater(body: Expression, when: number | TaskExpression): LaterExpression {
  return made({ kind: 'later', body, when })
}
