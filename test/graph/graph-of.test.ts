import { GraflowError } from '../../lib/errors.js'
import type {
  Expression,
  GroupExpression,
  Handler,
  SequenceExpression,
  TaskExpression,
} from '../../lib/flow/expression.js'
import type { TaskOptions } from '../../lib/flow/node-options.js'
import { canonicalText, graphHash } from '../../lib/graph/canonical.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { thrown } from '../support/captured-errors.js'

const task = (name: string, options: TaskOptions = {}, handler?: Handler): TaskExpression => ({
  kind: 'task',
  name,
  options,
  ...(handler && { handler }),
})
const seq = (...steps: Expression[]): SequenceExpression => ({ kind: 'sequence', steps })
const par = (...branches: Expression[]): GroupExpression => ({
  kind: 'group',
  branches,
  join: { kind: 'strict' },
  options: {},
})

const a = task('a', {}, () => 1)
const b = task('b')

describe('graphOf', () => {
  it('keeps the names and leaves out the code', () => {
    const score = task('score', { retry: { attempts: 3 }, timeoutMs: 5_000 }, () => 0.97)
    const graph = graphOf(seq(a, par(b, score)))
    expect(JSON.parse(JSON.stringify(graph))).toEqual({
      version: 1,
      tasks: { a: {}, b: {}, score: { retry: { attempts: 3 }, timeoutMs: 5_000 } },
      root: {
        kind: 'sequence',
        steps: [
          { kind: 'task', name: 'a' },
          {
            kind: 'group',
            branches: [
              { kind: 'task', name: 'b' },
              { kind: 'task', name: 'score' },
            ],
            join: { kind: 'strict' },
            options: {},
          },
        ],
      },
    })
  })

  it('translates every kind of node', () => {
    const decide = () => 'x'
    const graph = graphOf(
      seq(
        {
          kind: 'group',
          keys: ['x', 'y'],
          branches: [a, b],
          join: { kind: 'critical', members: ['y'] },
          options: { name: 'both' },
        },
        { kind: 'each', body: a, join: { kind: 'policy', name: 'most', decide }, options: { concurrency: 4 } },
        {
          kind: 'choose',
          decide: a,
          cases: [
            ['low', b],
            ['high', seq(a, b)],
          ],
        },
        { kind: 'loop', body: a, maxCycles: 3 },
        { kind: 'workflow', name: 'inner', body: b, options: { timeoutMs: 9 } },
      ),
    )
    expect(graph.root).toEqual({
      kind: 'sequence',
      steps: [
        {
          kind: 'group',
          keys: ['x', 'y'],
          branches: [
            { kind: 'task', name: 'a' },
            { kind: 'task', name: 'b' },
          ],
          join: { kind: 'critical', members: ['y'] },
          options: { name: 'both' },
        },
        {
          kind: 'each',
          body: { kind: 'task', name: 'a' },
          join: { kind: 'policy', name: 'most' },
          options: { concurrency: 4 },
        },
        {
          kind: 'choose',
          decide: { kind: 'task', name: 'a' },
          cases: [
            ['low', { kind: 'task', name: 'b' }],
            [
              'high',
              {
                kind: 'sequence',
                steps: [
                  { kind: 'task', name: 'a' },
                  { kind: 'task', name: 'b' },
                ],
              },
            ],
          ],
        },
        { kind: 'loop', body: { kind: 'task', name: 'a' }, maxCycles: 3 },
        { kind: 'workflow', name: 'inner', body: { kind: 'task', name: 'b' }, options: { timeoutMs: 9 } },
      ],
    })
  })

  it('is made once for each expression, and frozen to the ground', () => {
    const flow = seq(task('a', { retry: { attempts: 2 }, requires: ['gpu'] }), par(b, b))
    const graph = graphOf(flow)
    expect(graphOf(flow)).toBe(graph)
    const thawed: unknown[] = []
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      if (!Object.isFrozen(value)) thawed.push(value)
      Object.values(value).forEach(visit)
    }
    visit(graph)
    expect(thawed).toEqual([])
  })

  it('keeps nothing of what it was given: later changes outside do not reach it', () => {
    const requires = ['gpu']
    const graph = graphOf(task('a', { requires }))
    requires.push('tpu')
    expect(graph.tasks['a']).toEqual({ requires: ['gpu'] })
  })

  it('takes the body of a workflow at the root: the name travels with the run', () => {
    const body = seq(a, b)
    const named: Expression = { kind: 'workflow', name: 'w', body, options: { description: 'two steps' } }
    expect(graphHash(graphOf(named))).toBe(graphHash(graphOf(body)))
    expect(graphHash(graphOf(par(named, a)))).not.toBe(graphHash(graphOf(par(body, a))))
  })

  it('drops options that are undefined, and writes -0 as 0', () => {
    const loose = {
      timeoutMs: undefined,
      retry: { attempts: 2, jitter: undefined },
      priority: -0,
    } as unknown as TaskOptions
    expect(canonicalText(graphOf(task('a', loose)))).toBe(
      '{"root":{"kind":"task","name":"a"},"tasks":{"a":{"priority":0,"retry":{"attempts":2}}},"version":1}',
    )
  })

  it('takes names that objects have already', () => {
    const graph = graphOf(seq(task('constructor', { queue: 'q' }), task('toJSON'), task('hasOwnProperty')))
    expect(canonicalText(graph)).toContain('"tasks":{"constructor":{"queue":"q"},"hasOwnProperty":{},"toJSON":{}}')
    expect(graph.tasks['toString']).toBe(undefined)
  })

  it('knows a declared task and the one with the handler as one, and refuses two different ones', () => {
    expect(Object.keys(graphOf(seq(a, task('a'))).tasks)).toEqual(['a'])
    for (const other of [task('a', {}, () => 2), task('a', { queue: 'q' })]) {
      const error = thrown(() => graphOf(seq(a, other)))
      expect([error.code, error.details['task']]).toEqual(['DUPLICATE_TASK', 'a'])
    }
  })

  it('refuses two policies with one name', () => {
    const join = (decide: () => unknown): Expression => ({ ...par(a, b), join: { kind: 'policy', name: 'p', decide } })
    expect(
      thrown(() =>
        graphOf(
          seq(
            join(() => 1),
            join(() => 2),
          ),
        ),
      ).code,
    ).toBe('DUPLICATE_TASK')
  })

  it('L11: refuses a closure among the options, with its path', () => {
    const smuggled = task('fetch-user', { queue: (() => 'q') as unknown as string })
    const error = thrown(() => graphOf(seq(a, smuggled)))
    expect([error.code, error.details['path']]).toEqual(['NOT_SERIALISABLE', 'tasks["fetch-user"].queue'])
    const named = { ...par(a, b), options: { name: (() => 'n') as unknown as string } }
    const inNode = thrown(() => graphOf(seq(a, named)))
    expect([inNode.code, inNode.details['path']]).toEqual(['NOT_SERIALISABLE', 'root.steps[1].options.name'])
    expect(inNode.message).toContain('root.steps[1].options.name')
  })

  it('refuses what a combinator would refuse, so that no peer has to', () => {
    const faults: [Expression, string, string][] = [
      [task('a b'), 'INVALID_NAME', 'tasks'],
      [task('__proto__'), 'INVALID_NAME', 'tasks'],
      [task('a', { priority: 101 }), 'INVALID_OPTION', 'tasks.a.priority'],
      [task('a', { nice: 1 } as TaskOptions), 'INVALID_OPTION', 'tasks.a.nice'],
      [task('a', { retry: { attempts: 0 } }), 'INVALID_OPTION', 'tasks.a.retry.attempts'],
      [seq(a), 'INVALID_NODE', 'root.steps'],
      [seq(a, seq(a, b)), 'INVALID_NODE', 'root.steps[1]'],
      [par(), 'EMPTY_GROUP', 'root.branches'],
      [{ ...par(a, b), join: { kind: 'atLeast', count: 3 } }, 'JOIN_IMPOSSIBLE', 'root.join'],
      [{ ...par(a, b), join: { kind: 'critical', members: ['c'] } }, 'JOIN_IMPOSSIBLE', 'root.join'],
      [{ ...par(a, b), keys: ['x', 'x'] }, 'INVALID_NODE', 'root.keys'],
      [{ kind: 'loop', body: a, maxCycles: 0 }, 'INVALID_OPTION', 'root.maxCycles'],
      [{ kind: 'chose' } as unknown as Expression, 'INVALID_NODE', ''],
    ]
    for (const [expression, code, path] of faults) {
      const error = thrown(() => graphOf(expression))
      expect([error.code, error.details['path'] ?? '']).toEqual([code, path])
    }
  })

  it('takes 10 000 steps and 10 000 branches, and a nesting of 64, not 65', () => {
    const many = Array.from({ length: 10_000 }, () => a)
    expect(graphOf(seq(...many)).root).toMatchObject({ steps: { length: 10_000 } })
    expect(graphOf(par(...many)).root).toMatchObject({ branches: { length: 10_000 } })
    const nested = (levels: number): Expression => (levels === 0 ? a : par(seq(b, nested(levels - 1))))
    expect(graphHash(graphOf(nested(64)))).toMatch(/^[0-9a-f]{64}$/)
    expect(thrown(() => graphOf(nested(65))).code).toBe('LIMIT_EXCEEDED')
    expect(thrown(() => graphOf(nested(5_000))).code).toBe('LIMIT_EXCEEDED')
  })

  it('counts a shared node as often as it stands in the graph, without walking it as often', () => {
    let flow: Expression = a
    for (let level = 0; level < 15; level += 1) flow = par(flow, flow)
    expect(graphOf(flow).root.kind).toBe('group')
    for (let level = 0; level < 40; level += 1) flow = par(flow, flow)
    expect(thrown(() => graphOf(flow))).toBeInstanceOf(GraflowError)
    expect(thrown(() => graphOf(flow)).code).toBe('LIMIT_EXCEEDED')
  })

  it('finds a shared node that is too deep only at its second place', () => {
    let deep: Expression = a
    for (let level = 0; level < 40; level += 1) deep = par(deep)
    let wrapped: Expression = deep
    for (let level = 0; level < 30; level += 1) wrapped = par(wrapped)
    expect(thrown(() => graphOf(seq(deep, wrapped))).code).toBe('LIMIT_EXCEEDED')
  })
})
