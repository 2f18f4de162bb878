import fc from 'fast-check'
import { canonicalText } from '../../lib/graph/canonical.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { GRAPH_LIMITS } from '../../lib/graph/limits.js'
import { parseGraph } from '../../lib/graph/validate.js'
import { GraflowError } from '../../lib/errors.js'
import { anyExpression } from './arbitrary.js'
import { thrown } from '../support/captured-errors.js'
import { EVERYTHING } from './everything.js'

const a = { kind: 'task', name: 'a' }
const strict = { kind: 'strict' }
const group = { kind: 'group', branches: [a, a], join: strict, options: {} }
const each = { kind: 'each', body: a, join: strict, options: {} }
const labelled = { ...each, options: { label: 'id' } }
const labelledPar = { ...group, options: { label: 'id' } }
const choose = { kind: 'choose', decide: a, cases: [['x', a]] }
const loop = { kind: 'loop', body: a, maxCycles: 1 }
const workflow = { kind: 'workflow', name: 'w', body: a, options: {} }
const graph = (root: unknown, tasks: unknown = { a: {} }, rest: object = {}): unknown => ({
  version: 1,
  tasks,
  root,
  ...rest,
})

describe('parseGraph', () => {
  it('takes each kind of node alone', () => {
    for (const root of [a, { kind: 'sequence', steps: [a, a] }, group, each, choose, loop, workflow]) {
      expect(parseGraph(graph(root)).root).toEqual(root)
    }
    expect(parseGraph(graph(labelled, { a: {} }, { version: 3 })).root).toEqual(labelled)
  })

  const wrong: readonly [value: unknown, reason: string, path: string][] = [
    [undefined, 'NOT_SERIALISABLE', ''],
    [null, 'INVALID_NODE', ''],
    ['{}', 'INVALID_NODE', ''],
    [[], 'INVALID_NODE', ''],
    [{}, 'INVALID_NODE', ''],
    [graph(a, { a: {} }, { extra: 1 }), 'INVALID_NODE', ''],
    [graph(a, { a: {} }, { version: 2 }), 'INVALID_NODE', 'version'],
    [graph(a, { a: {} }, { version: 3 }), 'INVALID_NODE', 'version'],
    [graph(labelled), 'INVALID_NODE', 'version'],
    [graph({ ...each, options: { label: 7 } }, { a: {} }, { version: 3 }), 'INVALID_OPTION', 'root.options.label'],
    [graph(labelledPar, { a: {} }, { version: 3 }), 'INVALID_OPTION', 'root.options.label'],
    [graph(a, { a: {} }, { version: '1' }), 'INVALID_NODE', 'version'],
    [graph(a, {}), 'INVALID_NODE', 'tasks'],
    [graph(a, { a: {}, b: {} }), 'INVALID_NODE', 'tasks'],
    [graph(a, []), 'INVALID_NODE', 'tasks'],
    [graph(a, { a: null }), 'INVALID_NODE', 'tasks.a'],
    [graph(a, { a: [] }), 'INVALID_NODE', 'tasks.a'],
    [graph(a, { a: {}, 'a b': {} }), 'INVALID_NAME', 'tasks'],
    [graph(a, { a: { nice: 1 } }), 'INVALID_OPTION', 'tasks.a.nice'],
    [graph(a, { a: { input: {} } }), 'INVALID_OPTION', 'tasks.a.input'],
    [graph(a, { a: { queue: 7 } }), 'INVALID_OPTION', 'tasks.a.queue'],
    [graph(a, { a: { queue: 'a:b' } }), 'INVALID_NAME', 'tasks.a.queue'],
    [graph(a, { a: { timeoutMs: 0 } }), 'INVALID_OPTION', 'tasks.a.timeoutMs'],
    [graph(a, { a: { timeoutMs: 1.5 } }), 'INVALID_OPTION', 'tasks.a.timeoutMs'],
    [graph(a, { a: { priority: 101 } }), 'INVALID_OPTION', 'tasks.a.priority'],
    [graph(a, { a: { retry: { attempts: 0 } } }), 'INVALID_OPTION', 'tasks.a.retry.attempts'],
    [graph(a, { a: { retry: 3 } }), 'INVALID_OPTION', 'tasks.a.retry'],
    [graph(a, { a: { isolation: 'vm' } }), 'INVALID_OPTION', 'tasks.a.isolation'],
    [graph(a, { a: { queue: () => 1 } }), 'NOT_SERIALISABLE', 'tasks.a.queue'],
    [graph('a'), 'INVALID_NODE', 'root'],
    [graph({ kind: 'task' }), 'INVALID_NODE', 'root'],
    [graph({ kind: 'tusk', name: 'a' }), 'INVALID_NODE', 'root'],
    [graph({ kind: 'toString' }), 'INVALID_NODE', 'root'],
    [graph({ name: 'a' }), 'INVALID_NODE', 'root'],
    [graph({ ...a, options: {} }), 'INVALID_NODE', 'root'],
    [graph({ kind: 'task', name: 'a/b' }), 'INVALID_NAME', 'root.name'],
    [graph({ kind: 'task', name: 7 }), 'INVALID_NAME', 'root.name'],
    [graph({ kind: 'sequence', steps: a }), 'INVALID_NODE', 'root.steps'],
    [graph({ kind: 'sequence', steps: [a] }), 'INVALID_NODE', 'root.steps'],
    [graph({ kind: 'sequence', steps: [a, null] }), 'INVALID_NODE', 'root.steps[1]'],
    [graph({ kind: 'sequence', steps: [{ kind: 'sequence', steps: [a, a] }, a] }), 'INVALID_NODE', 'root.steps[0]'],
    [graph({ ...group, branches: [] }), 'EMPTY_GROUP', 'root.branches'],
    [graph({ ...group, keys: ['x'] }), 'INVALID_NODE', 'root.keys'],
    [graph({ ...group, keys: ['x', 'x'] }), 'INVALID_NODE', 'root.keys'],
    [graph({ ...group, keys: ['x', 7] }), 'INVALID_NAME', 'root.keys'],
    [graph({ ...group, keys: ['x', 'a/b'] }), 'INVALID_NAME', 'root.keys'],
    [graph({ ...group, join: { kind: 'all' } }), 'JOIN_IMPOSSIBLE', 'root.join'],
    [graph({ ...group, join: { kind: 'strict', count: 1 } }), 'INVALID_NODE', 'root.join'],
    [graph({ ...group, join: { kind: 'atLeast', count: 3 } }), 'JOIN_IMPOSSIBLE', 'root.join'],
    [graph({ ...group, join: { kind: 'atLeast', count: 0 } }), 'INVALID_OPTION', 'root.join'],
    [graph({ ...group, join: { kind: 'atLeast', count: '1' } }), 'INVALID_OPTION', 'root.join'],
    [graph({ ...group, join: { kind: 'critical', members: [] } }), 'JOIN_IMPOSSIBLE', 'root.join.members'],
    [graph({ ...group, join: { kind: 'critical', members: ['a', 'a'] } }), 'JOIN_IMPOSSIBLE', 'root.join.members'],
    [graph({ ...group, join: { kind: 'critical', members: ['b'] } }), 'JOIN_IMPOSSIBLE', 'root.join'],
    [graph({ ...group, keys: ['x', 'y'], join: { kind: 'critical', members: ['a'] } }), 'JOIN_IMPOSSIBLE', 'root.join'],
    [graph({ ...group, join: { kind: 'policy', name: 'a b' } }), 'INVALID_NAME', 'root.join.name'],
    [graph({ ...group, options: { concurrency: 0 } }), 'INVALID_OPTION', 'root.options.concurrency'],
    [graph({ ...group, options: { retry: {} } }), 'INVALID_OPTION', 'root.options.retry'],
    [graph({ ...each, join: { kind: 'critical', members: ['a'] } }), 'JOIN_IMPOSSIBLE', 'root.join'],
    [graph({ ...each, options: [] }), 'INVALID_NODE', 'root.options'],
    [graph({ ...choose, cases: [] }), 'EMPTY_GROUP', 'root.cases'],
    [graph({ ...choose, cases: [['x', a, a]] }), 'INVALID_NODE', 'root.cases[0]'],
    [graph({ ...choose, cases: [['x']] }), 'INVALID_NODE', 'root.cases[0]'],
    [
      graph({
        ...choose,
        cases: [
          ['x', a],
          ['x', a],
        ],
      }),
      'INVALID_NODE',
      'root.cases',
    ],
    [graph({ ...choose, cases: [['?', a]] }), 'INVALID_NAME', 'root.cases'],
    [
      graph({ ...choose, cases: [['x', { ...group, branches: [a, {}] }]] }),
      'INVALID_NODE',
      'root.cases[0][1].branches[1]',
    ],
    [graph({ ...loop, maxCycles: 0 }), 'INVALID_OPTION', 'root.maxCycles'],
    [graph({ ...loop, maxCycles: null }), 'INVALID_OPTION', 'root.maxCycles'],
    [graph({ ...workflow, name: '' }), 'INVALID_NAME', 'root.name'],
    [graph({ ...workflow, options: { timeoutMs: '1' } }), 'INVALID_OPTION', 'root.options.timeoutMs'],
  ]

  it.each(wrong)('FT-Q3: refuses what is no graph, and says where (%#)', (value, reason, path) => {
    const error = thrown(() => parseGraph(value))
    expect(error.code).toBe('INTEGRITY')
    expect(error.details).toEqual({ path, reason })
    expect(error.message).toMatch(/^not a graph of version 1 to 3: /)
  })

  it('FT-Q3: leaves every prototype as it is, and gives no key of one', () => {
    const text = '{"version":1,"tasks":{"a":{}},"root":{"kind":"task","name":"a"},"__proto__":{"polluted":1}}'
    expect(thrown(() => parseGraph(JSON.parse(text))).details['reason']).toBe('INVALID_NODE')
    expect(({} as { polluted?: unknown }).polluted).toBe(undefined)
    expect(Object.getPrototypeOf(parseGraph(graph(a)).tasks)).toBe(null)
  })

  it('FT-Q3: calls no getter and no toJSON of what it reads', () => {
    const called = (): never => {
      throw new Error('code of a value was called')
    }
    for (const trap of [
      {
        get root() {
          return called()
        },
      },
      { toJSON: called },
      { valueOf: called },
    ]) {
      const value = Object.defineProperties(
        { version: 1, tasks: { a: {} }, root: a },
        Object.getOwnPropertyDescriptors(trap),
      )
      expect(thrown(() => parseGraph(value)).code).toBe('INTEGRITY')
    }
  })

  it('takes a nesting of 64, not of 65, and no more branches and nodes than allowed', () => {
    const nested = (levels: number): unknown =>
      levels === 0 ? a : { kind: 'loop', body: { kind: 'sequence', steps: [a, nested(levels - 1)] }, maxCycles: 1 }
    expect(parseGraph(graph(nested(64))).root.kind).toBe('loop')
    expect(thrown(() => parseGraph(graph(nested(65)))).details['reason']).toBe('LIMIT_EXCEEDED')
    const choices = (levels: number): unknown =>
      levels === 0 ? a : { ...choose, cases: [['x', { kind: 'sequence', steps: [a, choices(levels - 1)] }]] }
    expect(parseGraph(graph(choices(64))).root.kind).toBe('choose')
    const few = { ...GRAPH_LIMITS, branches: 1 }
    expect(thrown(() => parseGraph(graph(group), few)).details).toEqual({
      reason: 'LIMIT_EXCEEDED',
      path: 'root.branches',
    })
    expect(parseGraph(graph(group), { ...GRAPH_LIMITS, nodes: 3 }).root).toEqual(group)
    expect(thrown(() => parseGraph(graph(group), { ...GRAPH_LIMITS, nodes: 2 })).details['reason']).toBe(
      'LIMIT_EXCEEDED',
    )
  })

  it('finds a node that is too deep only at its second place', () => {
    const around = (levels: number, inner: unknown): unknown =>
      levels === 0 ? inner : around(levels - 1, { ...loop, body: inner })
    const shared = around(40, a)
    const twice = (levels: number): unknown => graph({ kind: 'sequence', steps: [shared, around(levels, shared)] })
    expect(parseGraph(twice(24)).root.kind).toBe('sequence')
    expect(thrown(() => parseGraph(twice(25))).details['reason']).toBe('LIMIT_EXCEEDED')
  })

  it('shares nothing with what it read, and freezes all of it', () => {
    const value = JSON.parse(canonicalText(graphOf(EVERYTHING))) as { tasks: Record<string, object> }
    const read = parseGraph(value)
    const before = canonicalText(read)
    value.tasks['a'] = { queue: 'evil' }
    Object.assign(value.tasks['score'] as object, { queue: 'evil' })
    expect(canonicalText(read)).toBe(before)
    const visit = (part: unknown): void => {
      if (typeof part !== 'object' || part === null) return
      expect(Object.isFrozen(part)).toBe(true)
      Object.values(part).forEach(visit)
    }
    visit(read)
  })

  it('answers with a graph or INTEGRITY, whatever is changed in a good one', () => {
    const evil = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom<unknown>(undefined, -0, Number.NaN, () => 1, new Date(0), '__proto__', [], {}),
    )
    fc.assert(
      fc.property(anyExpression, fc.nat(), evil, fc.boolean(), (expression, at, value, rename) => {
        const good: unknown = JSON.parse(canonicalText(graphOf(expression)))
        const spots: [Record<string, unknown>, string][] = []
        const collect = (part: unknown): void => {
          if (typeof part !== 'object' || part === null) return
          for (const key of Object.keys(part)) {
            spots.push([part as Record<string, unknown>, key])
            collect((part as Record<string, unknown>)[key])
          }
        }
        collect(good)
        const [owner, key] = spots[at % spots.length] as [Record<string, unknown>, string]
        if (rename) {
          owner[`${key}x`] = owner[key]
          Reflect.deleteProperty(owner, key)
        } else owner[key] = value
        try {
          canonicalText(parseGraph(good))
        } catch (error) {
          if (!(error instanceof GraflowError)) throw error
          expect(error.code).toBe('INTEGRITY')
        }
      }),
      { numRuns: 500 },
    )
  })
})
