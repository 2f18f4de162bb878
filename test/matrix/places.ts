/** Where a task or group may stand. Each has what surrounds it there, and says how the run begins. */
import { choose, done, each, loop, par, seq, task, workflow, type AnyNode } from 'graflow'
import type { Place, Side } from './table.js'

const same = (n: unknown): unknown => n
const before = task('before', (n: number) => n)
const beside = task('beside', (n: number) => n)
const end = task('end', (value: unknown) => done(value))
const always = task('always', () => 'yes' as const)

/** Types say nothing here: what stands at a place may be anything that takes a number. */
const any = (node: AnyNode): any => node
const first = (output: unknown): unknown => (output as readonly unknown[])[0]
const branch = { begin: 'run', input: same, result: first } as const
const step = { input: same, result: same } as const

/** A handler that has x run. */
const handler = (
  name: string,
  run: (n: number, ctx: any, x: AnyNode) => unknown,
): ((x: AnyNode, side: Side) => AnyNode) => {
  return (x, { id, frames }) =>
    par(task(`${id}-${name}`, frames === undefined ? {} : { queue: frames }, (n: number, ctx) => run(n, ctx, x)))
}

export const PLACES: readonly Place[] = [
  { ...branch, name: 'each', text: 'each(x)', around: (x) => each(any(x)), input: (n) => [n] },
  { ...branch, name: 'par', text: 'par(x, y)', around: (x) => par(any(x), beside) },
  { ...branch, name: 'chain', text: 'each(seq(y, x))', around: (x) => each(seq(before, any(x))), input: (n) => [n] },
  {
    ...branch,
    name: 'loop',
    text: 'par(loop(seq(x, end)))',
    around: (x) => par(loop(seq(any(x), end), { maxCycles: 3 })),
  },
  {
    ...branch,
    name: 'choose',
    text: 'par(choose(d, { yes: x }))',
    around: (x) => par(choose(always, { yes: any(x) })),
  },
  {
    ...branch,
    name: 'workflow',
    text: "par(workflow('w', x))",
    around: (x, { id }) => par(workflow(`${id}-w`, any(x))),
  },
  {
    ...branch,
    name: 'ctx.run',
    text: 'ctx.run(x), in a branch',
    around: handler('forks', (n, ctx, x) => ctx.run(x, n)),
  },
  { ...branch, name: 'next', text: 'ctx.next(x), in a branch', around: handler('next', (n, ctx, x) => ctx.next(x, n)) },
  { ...branch, name: 'goto', text: 'ctx.goto(x), in a branch', around: handler('goto', (n, ctx, x) => ctx.goto(x, n)) },
  { ...step, name: 'run', text: 'graflow.start(seq(y, x))', begin: 'run', around: (x) => seq(before, any(x)) },
  { ...step, name: 'submit', text: 'graflow.submit(seq(y, x))', begin: 'submit', around: (x) => seq(before, any(x)) },
  {
    ...branch,
    name: 'declared',
    text: 'each(x) of declared tasks',
    declares: 'options',
    around: (x) => each(any(x)),
    input: (n) => [n],
  },
  {
    ...branch,
    name: 'left out',
    text: 'each(x) of declared tasks without options',
    declares: 'names',
    around: (x) => each(any(x)),
    input: (n) => [n],
  },
]
