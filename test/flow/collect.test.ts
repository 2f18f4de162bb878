import { choose } from '../../lib/flow/choose.js'
import { policiesOf, tasksOf } from '../../lib/flow/collect.js'
import { each, par, policy } from '../../lib/flow/group.js'
import { loop } from '../../lib/flow/loop.js'
import { expressionOf, nodeOf, useDrawing } from '../../lib/flow/node.js'
import { seq } from '../../lib/flow/seq.js'
import { declareTask, task } from '../../lib/flow/task.js'
import type { AnyNode } from '../../lib/flow/types.js'
import { workflow } from '../../lib/flow/workflow.js'
import { declared, type Flow } from './declared.js'
import { thrown } from '../support/captured-errors.js'

const a = declared('a')
const b = declared('b')
const c = declared('c')
const d = declared('d')
const e = declared('e')
const taskNames = (node: AnyNode): string[] => [...tasksOf(expressionOf(node)).keys()]

describe('the tasks of a flow', () => {
  it('are found wherever they stand', () => {
    const everything = seq(
      a,
      par(b, c),
      each(par({ x: d })),
      choose(e, { x: declared('f') }),
      loop(declared('g'), { maxCycles: 1 }),
      workflow('w', declared('h')),
      a,
    )
    expect(taskNames(everything)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
  })

  it('are the same map each time', () => {
    const expression = expressionOf(seq(a, b))
    expect(tasksOf(expression)).toBe(tasksOf(expression))
  })

  it('may stand twice', () => {
    const t = task('t', () => 1)
    expect(taskNames(seq(t, par(t, each(t)) as Flow))).toEqual(['t'])
  })

  it('L6: are refused when two different ones have one name, by each way of bringing them together', () => {
    const [one, two] = [task('t', (): any => 1) as Flow, task('t', (): any => 2) as Flow]
    const inner = seq(a, par(b, one))
    for (const bring of [
      () => seq(one, two),
      () => one.to(two),
      () => inner.to(two),
      () => two.to(inner),
      () => par(one, two),
      () => one.with(two),
      () => par({ x: one, y: two }),
      () => choose(one, { x: two }),
      () => choose(a, { x: one, y: two }),
      () => seq(workflow('w', one), each(two)),
      () => seq(loop(one, { maxCycles: 1 }), two),
    ]) {
      const error = thrown(bring)
      expect(error.code).toBe('DUPLICATE_TASK')
      expect(error.message).toContain('"t"')
      expect(error.details['task']).toBe('t')
    }
  })

  it('L6: are different by their handlers, options and schemas', () => {
    const handler = (): any => 1
    const schema = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const
    const t = task('t', handler) as Flow
    expect(taskNames(seq(t, task('t', handler) as Flow))).toEqual(['t'])
    expect(thrown(() => seq(t, task('t', { priority: 1 }, handler) as Flow)).details['difference']).toContain(
      '{"priority":1}',
    )
    expect(thrown(() => seq(t, task('t', { input: schema }, handler) as Flow)).details['difference']).toBe(
      'their schemas differ',
    )
  })

  it('are one when one is declared and the other has the handler, and then it is that', () => {
    const handler = (): any => 1
    const real = task('t', { priority: 1 }, handler) as Flow
    const mere = (): Flow => declareTask<any, any>('t', { priority: 1 })
    for (const node of [seq(mere(), real), seq(real, mere()), par(seq(mere(), a), real, mere())]) {
      expect(tasksOf(expressionOf(node)).get('t')?.handler).toBe(handler)
    }
    expect(tasksOf(expressionOf(seq(mere(), mere()))).get('t')?.handler).toBeUndefined()
    expect(thrown(() => seq(real, declared('t'))).code).toBe('DUPLICATE_TASK')
    expect(thrown(() => seq(declared('t'), mere())).code).toBe('DUPLICATE_TASK')
  })

  it('are collected for a chain of 2 000 by to', () => {
    let chain: Flow = a
    for (let i = 0; i < 2_000; i++) chain = chain.to(declared(`t${i}`))
    expect(tasksOf(expressionOf(chain)).size).toBe(2_001)
  })
})

describe('the size of a flow', () => {
  /** 2 ** levels tasks, made in so many calls. */
  const doubled = (levels: number, double: (node: Flow) => Flow): Flow => {
    let node: Flow = a
    for (let level = 0; level < levels; level++) node = double(node)
    return node
  }
  const twice: readonly (readonly [string, (node: Flow) => Flow])[] = [
    ['par', (node) => par(node, node) as Flow],
    ['seq', (node) => seq(node, node) as Flow],
  ]

  it.each(twice)('is at most a million nodes by %s, counted wherever they stand', (_name, double) => {
    expect(() => doubled(18, double)).not.toThrow()
    const error = thrown(() => doubled(20, double))
    expect(error.code).toBe('LIMIT_EXCEEDED')
    expect(error.message).toContain('a flow may have 1000000 nodes, a shared one counted wherever it stands')
    expect(error.details).toMatchObject({ limit: 1_000_000 })
  })
})

describe('the policies of a flow', () => {
  it('are found by name', () => {
    const [p, q] = [policy('p', () => 1), policy('q', () => 1)]
    const node = seq(par(a, b).join(p), each(par(c, d).join(q) as Flow).join(p) as Flow)
    expect([...policiesOf(expressionOf(node))]).toEqual([
      ['p', p],
      ['q', q],
    ])
    expect(policiesOf(expressionOf(par(a, b).settled())).size).toBe(0)
  })

  it('L6: are refused when two different ones have one name', () => {
    const decide = (): number => 1
    const join = (fn: () => number): Flow => par(a, b).join(policy('p', fn))
    expect(policiesOf(expressionOf(seq(join(decide), join(decide)))).size).toBe(1)
    const error = thrown(() =>
      seq(
        join(decide),
        join(() => 1),
      ),
    )
    expect(error.code).toBe('DUPLICATE_TASK')
    expect(error.details).toEqual({ policy: 'p' })
  })
})

describe('drawing', () => {
  // The drawing is put in once for the whole process; each test file has a process's worth of modules of its own.
  it('is an error that says so until one is put in', () => {
    for (const draw of [() => a.toMermaid(), () => a.toSvg(), () => workflow('w', a).hash]) {
      expect(thrown(draw).code).toBe('INTERNAL')
    }
  })

  it('is done by what was put in, the hash once', () => {
    const asked: string[] = []
    const answer = (what: string) => (expression: object) =>
      `${what} ${asked.push(what)} ${(expression as { readonly kind: string }).kind}`
    useDrawing({ hash: answer('hash'), mermaid: answer('mermaid'), svg: answer('svg') })
    const w = workflow('w', a)
    expect([w.hash, w.hash]).toEqual(['hash 1 workflow', 'hash 1 workflow'])
    expect(seq(a, b).toMermaid()).toBe('mermaid 2 sequence')
    expect(a.toSvg()).toBe('svg 3 task')
    expect(asked).toEqual(['hash', 'mermaid', 'svg'])
  })
})

describe('nodeOf', () => {
  it('gives the same node for the same expression', () => {
    const node = par(a, b)
    expect(nodeOf(expressionOf(node))).toBe(node)
    expect(nodeOf(Object.freeze({ ...expressionOf(node) }))).not.toBe(node)
  })
})
