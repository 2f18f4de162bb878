/** Random flows: any kind of node, join and option, valid by construction, and shared parts among them. */
import fc from 'fast-check'
import type { Expression, Join, TaskExpression } from '../../lib/flow/expression.js'
import type { EachOptions, GroupOptions, TaskOptions, WaitData, WorkflowOptions } from '../../lib/flow/node-options.js'
import {
  makeChoose,
  makeConfigured,
  makeEach,
  makeGroup,
  makeJoined,
  makeLater,
  makeLoop,
  makePolicy,
  makeSequence,
  makeTask,
  makeWait,
  makeWorkflow,
} from '../../lib/flow/make.js'
import { checkEachOptions, checkGroupOptions, checkTaskOptions, checkWaitOptions } from '../../lib/flow/options.js'
import { anyCharacter } from '../support/any-text.js'

const LETTERS = 'a b c x y z A B Z 0 1 9 _ -'.split(' ')
const name = (extra: readonly string[] = []): fc.Arbitrary<string> =>
  fc
    .string({ unit: fc.constantFrom(...LETTERS, ...extra), minLength: 1, maxLength: 12 })
    .filter((text) => text !== '__proto__')
/** Words that mean something to JavaScript or to Mermaid. */
const word = fc.constantFrom(
  'end',
  'constructor',
  'toJSON',
  'class',
  'subgraph',
  '0',
  '42',
  'w',
  'default',
  'hasOwnProperty',
  '-',
  '.',
)
const dotted = fc.oneof({ weight: 4, arbitrary: name(['.']) }, { weight: 1, arbitrary: word })
const plain = fc.oneof(
  { weight: 4, arbitrary: name() },
  { weight: 1, arbitrary: fc.constantFrom('end', 'constructor', '0') },
)

const ms = fc.integer({ min: 1, max: 86_400_000 })
const optional = { requiredKeys: [] }

const taskOptions: fc.Arbitrary<TaskOptions> = fc.record(
  {
    retry: fc.record(
      {
        attempts: fc.integer({ min: 1, max: 100 }),
        delayMs: fc.nat(100_000),
        factor: fc.double({ min: 1, max: 1e9, noNaN: true }),
        maxDelayMs: fc.nat(100_000),
        jitter: fc.double({ min: 0, max: 1, noNaN: true }),
      },
      optional,
    ),
    timeoutMs: ms,
    maxLosses: fc.nat(9),
    maxCycles: fc.integer({ min: 1, max: 1_000 }),
    queue: plain,
    requires: fc.uniqueArray(plain, { maxLength: 3 }),
    affinity: dotted,
    priority: fc.integer({ min: -100, max: 100 }),
    isolation: fc.constantFrom<'inline' | 'thread'>('inline', 'thread'),
  },
  optional,
)
const groupOptions: fc.Arbitrary<GroupOptions> = fc.record(
  {
    timeoutMs: ms,
    queue: plain,
    concurrency: fc.integer({ min: 1, max: 99 }),
    name: dotted,
    onFailure: fc.constantFrom<'cancel' | 'wait'>('cancel', 'wait'),
  },
  optional,
)
const eachOptions: fc.Arbitrary<EachOptions> = fc
  .tuple(groupOptions, fc.option(fc.array(plain, { minLength: 1, maxLength: 3 }), { nil: undefined }))
  .map(([options, keys]) => (keys === undefined ? options : { ...options, label: keys.join('.') }))
const workflowOptions: fc.Arbitrary<WorkflowOptions> = fc.record(
  {
    timeoutMs: ms,
    description: fc.string({ unit: anyCharacter, maxLength: 20 }),
  },
  optional,
)
const waitOptions: fc.Arbitrary<WaitData> = fc.record(
  {
    timeoutMs: ms,
    onTimeout: fc.oneof(fc.string({ unit: anyCharacter, maxLength: 5 }), fc.integer(), fc.constant([{ a: null }])),
    prompt: fc.record({ title: fc.string({ unit: anyCharacter, maxLength: 20 }) }),
  },
  optional,
)
const policies = ['most', 'least', 'p.1'].map((policy) => makePolicy(policy, () => policy))

const joinOf = (size: number, members: readonly string[]): fc.Arbitrary<Join | undefined> =>
  fc.oneof(
    fc.constant(undefined),
    fc.constantFrom<Join>({ kind: 'settled' }, { kind: 'first' }, ...policies),
    fc.integer({ min: 1, max: size }).map((count): Join => ({ kind: 'atLeast', count })),
    ...(members.length === 0
      ? []
      : [fc.subarray([...members], { minLength: 1 }).map((named): Join => ({ kind: 'critical', members: named }))]),
  )

const withJoin = (group: Expression, options: EachOptions, join: Join | undefined): Expression => {
  if (group.kind !== 'group' && group.kind !== 'each') return group
  const check = group.kind === 'each' ? checkEachOptions : checkGroupOptions
  const configured = makeConfigured(group, check({}, options))
  return join === undefined ? configured : makeJoined(configured, join)
}

const treeOf = (tasks: readonly TaskExpression[]): fc.Arbitrary<Expression> =>
  fc.letrec<{ node: Expression; nodes: Expression[] }>((tie) => {
    const node = tie('node')
    const several = fc.array(node, { minLength: 1, maxLength: 4 })
    const group = fc
      .tuple(
        several,
        fc.option(fc.uniqueArray(dotted, { minLength: 4, maxLength: 4 }), { nil: undefined }),
        groupOptions,
      )
      .chain(([branches, keys, options]) => {
        const used = keys?.slice(0, branches.length)
        const made = makeGroup(branches, used)
        const members = used ?? branches.flatMap((branch) => ('name' in branch ? branch.name : []))
        return joinOf(branches.length, members).map((join) => withJoin(made, options, join))
      })
    return {
      nodes: several,
      node: fc.oneof(
        { maxDepth: 5, depthSize: 'medium' },
        fc.constantFrom(...tasks),
        fc.tuple(dotted, waitOptions).map(([wait, options]) => makeWait(wait, checkWaitOptions(wait, options))),
        fc.tuple(node, fc.oneof(ms, fc.constantFrom(...tasks))).map(([body, when]) => makeLater(body, when)),
        several.map(([first, ...rest]) => makeSequence(first as Expression, ...rest)),
        group,
        fc
          .tuple(node, eachOptions, joinOf(9, []))
          .map(([body, options, join]) => withJoin(makeEach(body), options, join)),
        fc
          .tuple(
            fc.constantFrom(...tasks),
            fc.uniqueArray(fc.tuple(dotted, node), { minLength: 1, maxLength: 3, selector: ([key]) => key }),
          )
          .map(([decide, cases]) => makeChoose(decide, cases)),
        fc.tuple(node, fc.integer({ min: 1, max: 100 })).map(([body, maxCycles]) => makeLoop(body, maxCycles)),
        fc.tuple(dotted, node, workflowOptions).map(([named, body, options]) => makeWorkflow(named, body, options)),
      ),
    }
  }).node

/** A flow that the language could have made. */
export const anyExpression: fc.Arbitrary<Expression> = fc
  .uniqueArray(fc.tuple(dotted, taskOptions), { minLength: 1, maxLength: 5, selector: ([taskName]) => taskName })
  .chain((rows) => treeOf(rows.map(([taskName, options]) => makeTask(taskName, checkTaskOptions(taskName, options)))))
