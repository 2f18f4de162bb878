import fc from 'fast-check'
import { inspect } from 'node:util'
import { choose } from '../../lib/flow/choose.js'
import { flow } from '../../lib/flow/flow.js'
import { each, par } from '../../lib/flow/group.js'
import { again, done, loop } from '../../lib/flow/loop.js'
import { expressionOf } from '../../lib/flow/node.js'
import { seq } from '../../lib/flow/seq.js'
import { task } from '../../lib/flow/task.js'
import type { AnyNode } from '../../lib/flow/types.js'
import { workflow } from '../../lib/flow/workflow.js'
import { anyFlow } from './arbitrary.js'
import { declared, type Flow } from './declared.js'
import { thrown } from '../support/captured-errors.js'

const a = declared('a')
const b = declared('b')
const c = declared('c')
/** What a user without types can write. */
const loosely = {
  seq: seq as (...nodes: readonly unknown[]) => AnyNode,
  par: par as (...nodes: readonly unknown[]) => AnyNode,
  each: each as (node: unknown) => AnyNode,
  choose: choose as (decide: unknown, cases: unknown) => AnyNode,
  loop: loop as (body: unknown, options?: unknown) => AnyNode,
  workflow: workflow as (name: unknown, node: unknown, options?: unknown) => AnyNode,
}

const isDeepFrozen = (value: unknown, seen = new Set<unknown>()): boolean =>
  typeof value !== 'object' ||
  value === null ||
  seen.has(value) ||
  (Object.isFrozen(value) && Reflect.ownKeys(value).every((key) => isDeepFrozen((value as any)[key], seen.add(value))))

describe('seq', () => {
  it('flattens sequences, and is its only node', () => {
    expect(expressionOf(seq(a, seq(b, c)))).toEqual(expressionOf(seq(a, b, c)))
    expect(expressionOf(seq(seq(a, b), c))).toMatchObject({
      kind: 'sequence',
      steps: [{ name: 'a' }, { name: 'b' }, { name: 'c' }],
    })
    expect(seq(a)).toBe(a)
  })

  it('is associative', () => {
    fc.assert(
      fc.property(anyFlow, anyFlow, anyFlow, (x, y, z) => {
        const [left, right] = [seq(seq(x, y), z), seq(x, seq(y, z))]
        expect(expressionOf(left)).toEqual(expressionOf(right))
        expect(expressionOf(x.to(y).to(z))).toEqual(expressionOf(left))
        expect(expressionOf(x.to(y.to(z)))).toEqual(expressionOf(left))
        expect(String(left)).toBe(String(right))
      }),
    )
  })

  it('does not flatten a workflow, which has a name', () => {
    expect(String(seq(a, workflow('w', seq(b, c))))).toBe('a >> w')
  })

  it('needs a node', () => {
    expect(thrown(() => loosely.seq()).code).toBe('INVALID_NODE')
  })
})

describe('par', () => {
  it('keeps groups inside groups', () => {
    expect(expressionOf(par(par(a, b), c))).toMatchObject({
      branches: [{ kind: 'group', branches: [{}, {}] }, { name: 'c' }],
    })
  })

  it('of one is a group of one', () => {
    expect(expressionOf(par(a))).toMatchObject({ kind: 'group', branches: [{ name: 'a' }] })
  })

  it('of a record keeps the keys in written order', () => {
    expect(expressionOf(par({ y: a, x: b }))).toMatchObject({
      keys: ['y', 'x'],
      branches: [{ name: 'a' }, { name: 'b' }],
    })
  })

  it.each([
    ['par()', () => loosely.par()],
    ['par({})', () => loosely.par({})],
    ['choose without cases', () => loosely.choose(a, {})],
  ])('L7: %s is EMPTY_GROUP', (_what, make) => {
    expect(thrown(make).code).toBe('EMPTY_GROUP')
  })

  it('has at most 100 000 branches', () => {
    expect(expressionOf(loosely.par(...Array<Flow>(100_000).fill(a)))).toHaveProperty('branches.length', 100_000)
    const error = thrown(() => loosely.par(...Array<Flow>(100_001).fill(a)))
    expect(error.code).toBe('LIMIT_EXCEEDED')
    expect(error.details).toEqual({ branches: 100_001, limit: 100_000 })
    expect(error.message).toContain('each(node)')
  })
})

describe('with', () => {
  it('appends to a tuple group that no join has closed, and keeps its options', () => {
    expect(expressionOf(a.with(b).with(c))).toEqual(expressionOf(par(a, b, c)))
    expect(expressionOf(par(a, b).configure({ concurrency: 2 }).with(c))).toEqual(
      expressionOf(par(a, b, c).configure({ concurrency: 2 })),
    )
    expect(expressionOf(par(a).with(b))).toEqual(expressionOf(par(a, b)))
  })

  it('starts a group of two on anything else', () => {
    const others: readonly Flow[] = [
      a,
      seq(a, b),
      each(a),
      par(a, b).settled(),
      par({ x: a }).first(),
      workflow('w', par(a, b)),
      choose(a, { x: b }),
    ]
    for (const other of others) {
      expect(expressionOf(other.with(c))).toEqual(expressionOf(par(other, c)))
    }
  })

  it('is refused on a record group, whose branches need keys', () => {
    const error = thrown(() => (par({ x: a, y: b }) as Flow).with(c))
    expect(error.code).toBe('INVALID_NODE')
    expect(error.message).toContain('the keys x, y: give the branch a key')
  })

  it('appends one branch when that is a group, as in text', () => {
    expect(expressionOf(a.with(par(b, c)))).toEqual(expressionOf(par(a, par(b, c))))
    expect(String(a.with(b.with(c)))).toBe('a | (b | c)')
    expect(expressionOf(flow('(a | b) | c', { a, b, c }))).toEqual(expressionOf(par(par(a, b), c)))
  })
})

describe('choose, loop and workflow', () => {
  it('keep what they were given', () => {
    expect(expressionOf(choose(a, { y: b, x: c }))).toMatchObject({
      kind: 'choose',
      decide: { name: 'a' },
      cases: [
        ['y', { name: 'b' }],
        ['x', { name: 'c' }],
      ],
    })
    expect(expressionOf(loop(a, { maxCycles: 7 }))).toMatchObject({ kind: 'loop', body: { name: 'a' }, maxCycles: 7 })
    const enrich = workflow('enrich', a, { timeoutMs: 5, description: 'more' })
    expect(enrich).toMatchObject({ kind: 'workflow', name: 'enrich', options: { timeoutMs: 5, description: 'more' } })
  })

  it('give again and done as plain data', () => {
    expect(again({ n: 1 })).toEqual({ kind: 'again', next: { n: 1 } })
    expect(done('x')).toEqual({ kind: 'done', value: 'x' })
    expect(Object.isFrozen(again(1)) && Object.isFrozen(done(1))).toBe(true)
  })

  it.each([
    ['no options', undefined],
    ['no maxCycles', {}],
    ['maxCycles of 0', { maxCycles: 0 }],
    ['maxCycles of 1.5', { maxCycles: 1.5 }],
    ['an option that is none', { maxCycles: 3, max: 3 }],
  ])('loop refuses %s', (_what, options) => {
    expect(thrown(() => loosely.loop(a, options)).code).toBe('INVALID_OPTION')
  })
})

describe('nesting', () => {
  const nest = (depth: number, wrap: (inner: Flow) => Flow): Flow => {
    let flow: Flow = a
    for (let i = 0; i < depth; i++) flow = wrap(flow)
    return flow
  }
  it.each<[string, (inner: Flow) => Flow]>([
    ['par', (inner) => par(inner)],
    ['par in seq', (inner) => seq(b, par(inner, c), b)],
    ['each', (inner) => each(inner)],
    ['choose', (inner) => choose(b, { x: inner })],
    ['loop', (inner) => loop(inner, { maxCycles: 1 })],
    ['workflow', (inner) => workflow('w', inner)],
  ])('of %s is possible to 64', (_what, wrap) => {
    expect(String(nest(64, wrap)).length).toBeGreaterThan(0)
    const error = thrown(() => nest(65, wrap))
    expect(error.code).toBe('LIMIT_EXCEEDED')
    expect(error.details).toEqual({ nesting: 65, limit: 64 })
  })
})

describe('a node', () => {
  it('L4: is not changed by what is made of it', () => {
    const shared = seq(a, par(b, c))
    const before = structuredClone(expressionOf(shared))
    const [one, two] = [seq(shared, a), par(shared, b)]
    const texts = [String(one), String(two)]
    one.to(b).with(c)
    two.with(c).settled().configure({ name: 'n' })
    expect(expressionOf(shared)).toEqual(before)
    expect([String(one), String(two)]).toEqual(texts)
  })

  it('L4: is frozen, with all that is in it, and no combinator changes an operand', () => {
    fc.assert(
      fc.property(anyFlow, anyFlow, (x, y) => {
        const before = structuredClone([expressionOf(x), expressionOf(y)].map(withoutCode))
        const made: readonly Flow[] = [
          x.to(y),
          seq(x, y, x),
          x.to(y).with(x),
          par(x, y),
          par({ x, y }),
          each(x),
          choose(x, { y }),
          loop(x, { maxCycles: 2 }),
          each(x).settled().configure({ concurrency: 2 }),
        ]
        for (const node of [x, y, ...made]) {
          expect(Object.isFrozen(node)).toBe(true)
          expect(isDeepFrozen(expressionOf(node))).toBe(true)
        }
        expect([expressionOf(x), expressionOf(y)].map(withoutCode)).toEqual(before)
      }),
    )
  })

  it('is no promise', async () => {
    for (const node of [
      a,
      seq(a, b),
      par(a, b),
      each(a),
      choose(a, { x: b }),
      loop(a, { maxCycles: 1 }),
      workflow('w', a),
    ]) {
      expect('then' in node).toBe(false)
      expect(await Promise.resolve(node)).toBe(node)
    }
  })

  it('shows what it is when it is logged', () => {
    expect(inspect([a, par(a, b), seq(a, b), workflow('w', a)])).toBe(
      '[ Task<a>, Node<a | b>, Node<a >> b>, Workflow<w> ]',
    )
    const long = seq(...(Array<Flow>(100).fill(a) as [Flow, ...Flow[]]))
    expect(inspect(long).length).toBeLessThan(220)
    expect(inspect(long)).toContain('…')
  })

  it('is text in a template, and an error as a number', () => {
    const group: unknown = par(a, b)
    expect(`in ${group as string}`).toBe('in a | b')
    expect('in ' + (group as string)).toBe('in a | b')
    for (const operate of [() => (a as any) >> (b as any), () => (a as any) | (b as any), () => Number(a)]) {
      const error = thrown(operate)
      expect(error.code).toBe('INVALID_NODE')
      expect(error.message).toContain('a.to(b)')
    }
  })

  it('has its kind, name and options where it has them', () => {
    const score = task('score', { retry: { attempts: 3 }, requires: ['gpu'] }, () => 1)
    expect(score).toMatchObject({ kind: 'task', name: 'score', options: { retry: { attempts: 3 }, requires: ['gpu'] } })
    expect(par(a, b).kind).toBe('group')
    expect(each(a).kind).toBe('group')
    expect(par(a, b).settled().kind).toBe('group')
    expect(workflow('w', a).kind).toBe('workflow')
    expect('name' in seq(a, b)).toBe(false)
  })
})

describe('what is no flow', () => {
  const wrongs: readonly (readonly [what: string, value: unknown, says: string])[] = [
    ['a function', () => 3, "task('name', fn)"],
    ['a named function', function helper() {}, 'got the function helper'],
    ['a promise', Promise.resolve(1), 'await it first'],
    ['undefined', undefined, 'circular'],
    ['null', null, 'got null'],
    ['a text', 'a >> b', "flow('a >> b', { a, b })"],
    ['what >> gives', 0, 'a.to(b)'],
    ['a list', [a, b], 'spread it'],
    ['a record of flows', { a, b }, 'par({ … })'],
    ['an instance', new Map(), 'an instance of Map'],
  ]
  it.each(wrongs)('%s is INVALID_NODE with advice', (_what, value, says) => {
    for (const make of [
      () => loosely.seq(a, value),
      () => loosely.par(a, value),
      () => loosely.each(value),
      () => loosely.choose(value, { x: a }),
      () => loosely.choose(a, { x: value }),
      () => loosely.loop(value, { maxCycles: 1 }),
      () => loosely.workflow('w', value),
      () => (a.to as (next: unknown) => unknown).call(a, value),
      () => (a.with as (next: unknown) => unknown).call(a, value),
    ]) {
      const error = thrown(make)
      expect(error.code).toBe('INVALID_NODE')
      expect(error.message).toContain(says)
    }
  })

  it('is said with the argument that it is', () => {
    expect(thrown(() => loosely.seq(a, b, 3)).message).toMatch(/^seq, argument 3: expected a flow, got 3/u)
    expect(thrown(() => loosely.par({ x: a, y: 3 })).message).toMatch(/^par, key y: expected a flow/u)
    expect(thrown(() => loosely.par({ x: () => a })).message).toMatch(
      /^par, key x: expected a flow, got the function x/u,
    )
    expect(thrown(() => loosely.par({ x: 3, y: undefined })).message).toMatch(/^par, key x: expected a flow/u)
    expect(thrown(() => loosely.choose(a, [b])).message).toContain('a record of cases')
    const noRecord = thrown(() => loosely.choose(a, b))
    expect([noRecord.code, noRecord.message]).toEqual([
      'INVALID_NODE',
      'choose takes a record of cases, { high: a, low: b }, got a flow',
    ])
    expect(thrown(() => loosely.loop(a, 3)).message).toBe(
      'loop: options are an object such as { maxCycles: 10 }, got 3',
    )
    expect(thrown(() => loosely.workflow('w', 3)).message).toMatch(/^workflow "w": expected a flow/u)
  })
})

/** An expression as data, for a deep copy. */
function withoutCode(expression: unknown): unknown {
  return JSON.parse(JSON.stringify(expression)) as unknown
}

// A node of another copy of this package is a node: the class is another, the registered symbol the same.
describe('a node of another copy of the package', () => {
  it('is a node', () => {
    let copy: unknown
    jest.isolateModules(() => {
      copy = jest.requireActual('../../lib/flow/task.js')
    })
    const foreign = (copy as { readonly declareTask: (name: string) => Flow }).declareTask('foreign')
    expect(foreign.constructor).not.toBe(a.constructor)
    expect(String(seq(a, foreign))).toBe('a >> foreign')
    expect(String(foreign.to(a))).toBe('foreign >> a')
  })
})
