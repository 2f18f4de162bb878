/** Random flows, for laws that hold of all of them. Tasks are declared and few, so that flows share them. */
import fc from 'fast-check'
import { choose } from '../../lib/flow/choose.js'
import { each, par, policy } from '../../lib/flow/group.js'
import { loop } from '../../lib/flow/loop.js'
import { seq } from '../../lib/flow/seq.js'
import type { GroupOptions } from '../../lib/flow/node-options.js'
import type { Group, Joins } from '../../lib/flow/types.js'
import { workflow } from '../../lib/flow/workflow.js'
import { declared, type Flow } from './declared.js'

type AnyGroup = Joins<any, any> & { configure(options: GroupOptions): AnyGroup }

const leaves: Readonly<Record<string, Flow>> = Object.fromEntries(
  ['a', 'b-1', 'c_2', 'd.v3', 'E'].map((name) => [name, declared(name)]),
)
const nested: Readonly<Record<string, Flow>> = {
  w: workflow('w', par(leaves['a'] as Flow, leaves['E'] as Flow)),
  'w.2': workflow('w.2', leaves['a'] as Flow),
}

/** What a text of these flows may refer to. */
export const names = { ...leaves, ...nested }

const leaf = fc.constantFrom(...Object.values(names))
const some = (flow: fc.Arbitrary<Flow>, minLength: number): fc.Arbitrary<Flow[]> =>
  fc.array(flow, { minLength, maxLength: 4 })
const parOf = (branches: readonly Flow[]): Flow => par(...(branches as [Flow, ...Flow[]])) as Flow
const seqOf = (steps: readonly Flow[]): Flow => seq(...(steps as [Flow, ...Flow[]]))

/** Flows of the operator subset: tasks and workflows joined by `>>`, `|` and `*`. */
export const operatorFlow: fc.Arbitrary<Flow> = fc.letrec<{ flow: Flow }>((tie) => ({
  flow: fc.oneof(
    { maxDepth: 5, depthSize: 'medium' },
    leaf,
    some(tie('flow'), 1).map(seqOf),
    some(tie('flow'), 2).map(parOf),
    tie('flow').map((flow): Flow => each(flow)),
  ),
})).flow

const joins: readonly ((group: AnyGroup) => Flow)[] = [
  (group) => group,
  (group) => group.settled(),
  (group) => group.first(),
  (group) => group.atLeast(1),
  (group) => group.join(mostly),
]
const mostly = policy('mostly', () => 1)
const options = fc.constantFrom({}, { name: 'n' }, { concurrency: 4, timeoutMs: 9 }, {
  onFailure: 'wait',
  queue: 'q',
} as const)
const keys = fc.uniqueArray(fc.constantFrom('x', 'y', 'z-1', 'k.k'), { minLength: 1, maxLength: 3 })

/** Flows with everything in them. */
export const anyFlow: fc.Arbitrary<Flow> = fc.letrec<{ flow: Flow }>((tie) => ({
  flow: fc.oneof(
    { maxDepth: 5, depthSize: 'medium' },
    leaf,
    some(tie('flow'), 1).map(seqOf),
    fc
      .tuple(
        some(tie('flow'), 1).map((branches) => parOf(branches) as unknown as AnyGroup),
        options,
        fc.constantFrom(...joins),
      )
      .map(([group, given, join]) => join(group.configure(given))),
    fc
      .tuple(
        tie('flow').map((flow) => each(flow) as unknown as AnyGroup),
        options,
        fc.constantFrom(...joins),
      )
      .map(([group, given, join]) => join(group.configure(given))),
    fc.tuple(keys, tie('flow'), options).map(([ks, flow, given]) => {
      const group = par(Object.fromEntries(ks.map((key) => [key, flow]))) as Group<any, any>
      return group.configure(given).critical(ks[0])
    }),
    fc
      .tuple(keys, tie('flow'), leaf)
      .map(([ks, flow, decide]) => choose(decide, Object.fromEntries(ks.map((key) => [key, flow])))),
    tie('flow').map((flow) => loop(flow, { maxCycles: 3 })),
  ),
})).flow
