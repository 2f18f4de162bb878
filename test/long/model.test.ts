/** Any flow gives what a few lines of plain JavaScript say that it should, with any number of slots. */
import fc from 'fast-check'
import { again, choose, done, each, loop, par, seq, task, workflow, type AnyNode, type Outcome } from 'graflow'
import { describeOnBackends } from '../support/backends.js'

/** A flow beside what it should give. */
interface Modelled {
  readonly node: AnyNode
  readonly model: (input: unknown) => unknown
}
/** What a model throws where the flow fails. */
class Fails extends Error {}

const leaves: readonly Modelled[] = [
  {
    node: task('pair', (x: unknown) => ['pair', x]),
    model: (x) => ['pair', x],
  },
  {
    node: task('length', async (x: unknown) => JSON.stringify(x).length),
    model: (x) => JSON.stringify(x).length,
  },
  {
    node: task('flaky', { retry: { attempts: 3 } }, (x: unknown, ctx) => {
      if (ctx.attempt < 3) throw new Error('not yet')
      return { flaky: x }
    }),
    model: (x) => ({ flaky: x }),
  },
  {
    node: task('slow', { timeoutMs: 60_000, queue: 'slow' }, async (x: unknown) => {
      await new Promise((resolve) => setImmediate(resolve))
      return [x]
    }),
    model: (x) => [x],
  },
]
const broken: Modelled = {
  node: task('broken', (): unknown => {
    throw new Error('broken')
  }),
  model: () => {
    throw new Fails()
  },
}
const fan = task('fan', (x: unknown): unknown[] => (Array.isArray(x) ? x : [x, 'two', 3]))
const fanned = (x: unknown): unknown[] => (Array.isArray(x) ? (x as unknown[]) : [x, 'two', 3])
const parity = task('parity', (x: unknown): string => (JSON.stringify(x).length % 2 === 0 ? 'even' : 'odd'))
const count = task('count', (state: { left: number; value: unknown }) =>
  state.left > 1 ? again({ ...state, left: state.left - 1 }) : done(state.value),
)
const left = task('left', (state: { left: number }) => state.left)
const value = task('value', (state: { value: unknown }) => state.value)
const statuses = task('statuses', (outcomes: readonly Outcome<unknown>[]) =>
  outcomes.map((outcome) => (outcome.status === 'succeeded' ? ['ok', outcome.value] : outcome.status)),
)
/** The model's own settled. */
const settled = (members: readonly Modelled[], x: unknown): unknown[] =>
  members.map(({ model }) => {
    try {
      return ['ok', model(x)]
    } catch {
      return 'failed'
    }
  })

let made = 0
/** Types are of no help here: every node takes and gives anything. */
const untyped = { seq, par, each, choose, loop, workflow } as unknown as Readonly<
  Record<'seq' | 'par' | 'each' | 'choose' | 'loop' | 'workflow', (...args: unknown[]) => any>
>

const nodes = (withFailures: boolean): fc.Arbitrary<Modelled> =>
  fc.letrec<{ node: Modelled }>((tie) => {
    const some = fc.array(tie('node'), { minLength: 1, maxLength: 3 })
    const named = fc.constantFrom(...leaves, ...(withFailures ? [broken] : []))
    return {
      node: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        named,
        some.map((steps) => ({
          node: untyped.seq(...steps.map(({ node }) => node)) as AnyNode,
          model: (x: unknown) => steps.reduce((given, { model }) => model(given), x),
        })),
        some.map((branches) => ({
          node: untyped.par(...branches.map(({ node }) => node)) as AnyNode,
          model: (x: unknown) => branches.map(({ model }) => model(x)),
        })),
        fc.tuple(tie('node'), tie('node')).map(([one, two]) => ({
          node: untyped.par({ left: one.node, right: two.node }) as AnyNode,
          model: (x: unknown) => ({ left: one.model(x), right: two.model(x) }),
        })),
        some.map((branches) => ({
          node: untyped.seq(untyped.par(...branches.map(({ node }) => node)).settled(), statuses) as AnyNode,
          model: (x: unknown) => settled(branches, x),
        })),
        tie('node').map(({ node, model }) => ({
          node: untyped.seq(fan, untyped.each(node)) as AnyNode,
          model: (x: unknown) => fanned(x).map(model),
        })),
        fc.tuple(tie('node'), tie('node')).map(([even, odd]) => ({
          node: untyped.choose(parity, { even: even.node, odd: odd.node }) as AnyNode,
          model: (x: unknown) => (JSON.stringify(x).length % 2 === 0 ? even : odd).model(x),
        })),
        fc.tuple(tie('node'), fc.integer({ min: 1, max: 3 })).map(([{ node, model }, passes]) => {
          const body = untyped.seq(
            untyped.par({
              left: left,
              value: untyped.seq(value, node),
            }),
            count,
          )
          const begin = task(`begin-${(made += 1)}`, (given: unknown) => ({ left: passes, value: given }))
          return {
            node: untyped.seq(begin, untyped.loop(body, { maxCycles: 3 })) as AnyNode,
            model: (x: unknown) => Array.from({ length: passes }).reduce((given) => model(given), x),
          }
        }),
        tie('node').map(({ node, model }) => ({
          node: untyped.workflow(`inner-${(made += 1)}`, node) as AnyNode,
          model,
        })),
        tie('node').map(({ node, model }) => ({
          node: task(`forks-${(made += 1)}`, async (x: unknown, ctx) => ctx.run(node, x as never)),
          model,
        })),
        tie('node').map(({ node, model }) => ({
          node: task(`goes-${(made += 1)}`, (x: unknown, ctx) => ctx.next(node, x as never)),
          model,
        })),
      ),
    }
  }).node

describeOnBackends('any flow', (open) => {
  it.each([
    ['that succeeds', false],
    ['that may fail', true],
  ])('%s gives what its model gives', async (_, withFailures) => {
    await fc.assert(
      fc.asyncProperty(
        nodes(withFailures),
        // refused by the codec, which has a test of its own
        fc.jsonValue({ maxDepth: 1 }).filter((value) => !JSON.stringify(value).includes('"__proto__":')),
        fc.integer({ min: 1, max: 4 }),
        async ({ node, model }, input, slots) => {
          let expected: { value: unknown } | 'fails'
          try {
            expected = { value: model(input) }
          } catch (error) {
            if (!(error instanceof Fails)) throw error
            expected = 'fails'
          }
          const graflow = await open({ maxConcurrentTasks: slots })
          const got: unknown = await graflow.run(node, input as never).then(
            (value: unknown) => ({ value }),
            (error: unknown) =>
              ['TASK_FAILED', 'GROUP_FAILED'].includes((error as { code: string }).code) ? 'fails' : error,
          )
          await graflow.close()
          expect(got).toEqual(expected)
        },
      ),
      { numRuns: 150 },
    )
  })
})
