import fc from 'fast-check'
import { choose } from '../../lib/flow/choose.js'
import type { Expression } from '../../lib/flow/expression.js'
import { flow } from '../../lib/flow/flow.js'
import { each, par, policy } from '../../lib/flow/group.js'
import { loop } from '../../lib/flow/loop.js'
import { expressionOf } from '../../lib/flow/node.js'
import { seq } from '../../lib/flow/seq.js'
import { declareTask, task } from '../../lib/flow/task.js'
import { workflow } from '../../lib/flow/workflow.js'
import { anyFlow, names, operatorFlow } from './arbitrary.js'
import { declared, type Flow } from './declared.js'
import { thrown } from '../support/captured-errors.js'

const a = declared('a')
const b = declared('b')
const c = declared('c')
const d = declared('d')
const fetch = declared('fetch')
const sub = declared('sub')
const store = declared('store')
const all = { a, b, c, d, fetch, sub, store }
/** The flow of a text whose names are above; typed loosely, so that a test can write what would not compile. */
const read = (text: string, among: object = all): Flow => flow(text, among)

describe('text of a flow', () => {
  it('L1: is equal for a flow in text, by seq and by to, and so are the flows', () => {
    const spellings = [
      read('a >> b >> c'),
      seq(a, b, c),
      a.to(b).to(c),
      a.to(b.to(c)),
      seq(a, seq(b, c)),
      flow`${a} >> ${b} >> ${c}`,
    ]
    for (const spelling of spellings) {
      expect(String(spelling)).toBe('a >> b >> c')
      expect(expressionOf(spelling)).toEqual(expressionOf(spellings[0]))
    }
  })

  it('L1: is equal for the four spellings of a flow with a group', () => {
    const spellings = [
      flow('a >> (b | c) >> d', { a, b, c, d }),
      seq(a, par(b, c), d),
      a.to(b.with(c)).to(d),
      flow`${a} >> (${b} | ${c}) >> ${d}`,
    ]
    for (const spelling of spellings) {
      expect(String(spelling)).toBe('a >> (b | c) >> d')
      expect(expressionOf(spelling)).toEqual(expressionOf(spellings[0]))
    }
  })

  it('L2: without brackets, a >> b | c >> d is a group of two chains', () => {
    const group = expressionOf(read('a >> b | c >> d'))
    expect(group).toEqual(expressionOf(par(seq(a, b), seq(c, d))))
    expect(group).toMatchObject({ kind: 'group', branches: [{ kind: 'sequence' }, { kind: 'sequence' }] })
  })

  it('L3: in fetch >> ((a >> sub) | b) >> store, branch 1 is the chain a, sub and store follows the group', () => {
    const nested = read('fetch >> ((a >> sub) | b) >> store')
    expect(expressionOf(nested)).toEqual(expressionOf(seq(fetch, par(seq(a, sub), b), store)))
    expect(expressionOf(nested)).toMatchObject({
      kind: 'sequence',
      steps: [
        { name: 'fetch' },
        { kind: 'group', branches: [{ kind: 'sequence', steps: [{ name: 'a' }, { name: 'sub' }] }, { name: 'b' }] },
        { name: 'store' },
      ],
    })
    expect(String(nested)).toBe('fetch >> (a >> sub | b) >> store')
  })

  it.each([
    ['a', a],
    ['a | b', par(a, b)],
    ['(a | b) | c', par(par(a, b), c)],
    ['a | b | c', a.with(b).with(c)],
    ['a >> (b | c)', seq(a, par(b, c))],
    ['a >> b | c', par(seq(a, b), c)],
    ['a*', each(a)],
    ['a**', each(each(a))],
    ['(a >> b)*', each(seq(a, b))],
    ['(a | b)*', each(par(a, b))],
    ['a >> b* >> c', seq(a, each(b), c)],
    ['a* | b', par(each(a), b)],
  ])('%s parses to what prints so', (text, node) => {
    expect(String(node)).toBe(text)
    expect(expressionOf(read(text))).toEqual(expressionOf(node))
  })

  it.each([
    ['((a))', 'a'],
    ['(a >> b) >> c', 'a >> b >> c'],
    ['a >> (b >> c)', 'a >> b >> c'],
    ['(a | b)', 'a | b'],
    ['((a | b)) | c', '(a | b) | c'],
    ['a>>b|c*', 'a >> b | c*'],
    ['\n  a\n\t>> ( b\r\n | c )\n', 'a >> (b | c)'],
    ['(a*)*', 'a**'],
  ])('%j is %s', (text, canonical) => {
    expect(String(read(text))).toBe(canonical)
  })

  it('reads names as keys of the record and prints the names of the tasks', () => {
    const tasks = {
      fetchUser: declareTask('fetch-user'),
      $1: declareTask('geo.v1'),
      größe: declareTask('size'),
      'a.b-c_d': a,
    }
    expect(String(read('fetchUser >> $1 >> größe >> a.b-c_d', tasks))).toBe('fetch-user >> geo.v1 >> size >> a')
  })

  it('takes a module, or what else has own properties, as the record', () => {
    const module = Object.assign(Object.create(null) as object, { a, b, helper: () => 3 })
    expect(String(read('a >> b', module))).toBe('a >> b')
  })

  it('gives back the very node of a text that is one name', () => {
    expect(read('((a))')).toBe(a)
    expect(flow`${a}`).toBe(a)
  })

  it('prints forms without an operator as calls', () => {
    const mostly = policy('mostly', () => 1)
    expect(
      [
        par(a),
        par({ x: a, 'y-1': seq(b, c) }),
        par({ x: par(a, b) }),
        choose(a, { x: b, y: par(c, d) }),
        loop(seq(a, b), { maxCycles: 10 }),
        par(a, b).settled(),
        par(a, b, c).atLeast(2),
        par(a, b).critical('b' as never, 'a' as never),
        par(a, b).first(),
        par(a, b).join(mostly),
        each(a).settled(),
        each(each(a).first()),
        each(par(a, b).settled()),
        par(a, b).configure({ name: 'n', concurrency: 4 }),
        par(a, b).settled().configure({ onFailure: 'wait', timeoutMs: 5, queue: 'q' }),
        par({ x: a }).configure({ name: 'n' }).first(),
        par(a).settled(),
        seq(a, par(b, c).settled(), par(d)),
        par(par(a, b).first(), c),
        each(choose(a, { x: b })),
      ].map(String),
    ).toEqual([
      'par(a)',
      'par({x: a, y-1: b >> c})',
      'par({x: a | b})',
      'choose(a, {x: b, y: c | d})',
      'loop(a >> b, {maxCycles: 10})',
      '(a | b).settled()',
      '(a | b | c).atLeast(2)',
      "(a | b).critical('a', 'b')",
      '(a | b).first()',
      '(a | b).join(mostly)',
      'a*.settled()',
      '(a*.first())*',
      '((a | b).settled())*',
      "(a | b).configure({concurrency: 4, name: 'n'})",
      "(a | b).settled().configure({timeoutMs: 5, queue: 'q', onFailure: 'wait'})",
      "par({x: a}).first().configure({name: 'n'})",
      'par(a).settled()',
      'a >> (b | c).settled() >> par(d)',
      '(a | b).first() | c',
      'choose(a, {x: b})*',
    ])
  })

  it('prints a workflow as its body when asked itself, and as its name inside another flow', () => {
    const enrich = workflow('enrich', seq(a, par(b, c)))
    expect(String(enrich)).toBe('a >> (b | c)')
    expect(String(seq(enrich, d))).toBe('enrich >> d')
    expect(String(workflow('outer', enrich))).toBe('enrich')
  })

  it('parses back to an equal flow, for whatever is made of operators', () => {
    fc.assert(
      fc.property(operatorFlow, (node) => {
        expect(expressionOf(read(String(expressionOf(node).kind === 'workflow' ? par(node, a) : node), names))).toEqual(
          expressionOf(expressionOf(node).kind === 'workflow' ? par(node, a) : node),
        )
      }),
    )
  })

  it('differs where flows differ', () => {
    fc.assert(
      fc.property(anyFlow, anyFlow, (one, two) => {
        const isWorkflow = [one, two].some((node) => expressionOf(node).kind === 'workflow')
        if (!isWorkflow && String(one) === String(two)) expect(expressionOf(one)).toEqual(expressionOf(two))
      }),
      { numRuns: 1_000 },
    )
  })

  it('is read and written for 10 000 steps, and for 64 brackets', () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`t${i}`, declareTask<any, any>(`t${i}`)]))
    const text = Object.keys(many).join(' >> ')
    expect(String(read(text, many))).toBe(text)
    const deep = `${'('.repeat(64)}a${')'.repeat(64)}`
    expect(read(deep)).toBe(a)
    let nested: Flow = a
    for (let i = 0; i < 64; i++) nested = par(nested, b)
    expect(expressionOf(read(String(nested)))).toEqual(expressionOf(nested))
  })
})

describe('a text that cannot be read', () => {
  const cases: readonly (readonly [text: string, code: string, position: number, says: RegExp])[] = [
    ['', 'FLOW_SYNTAX', 0, /the text is empty/u],
    ['  \n ', 'FLOW_SYNTAX', 4, /the text is empty/u],
    ['a >>', 'FLOW_SYNTAX', 4, /a name or a bracket is missing at 4, the text ends/u],
    ['a b', 'FLOW_SYNTAX', 2, />> or \| is missing at 2, got "b"/u],
    ['a > b', 'FLOW_SYNTAX', 2, /one after the other is written >>/u],
    ['a -> b', 'FLOW_SYNTAX', 2, /one after the other is written >>/u],
    ['a && b', 'FLOW_SYNTAX', 2, /side by side is written \|/u],
    ['a || b', 'FLOW_SYNTAX', 3, /one \|/u],
    ['a, b', 'FLOW_SYNTAX', 1, /one after the other is written >>, side by side \|/u],
    ['"a"', 'FLOW_SYNTAX', 0, /without quotes/u],
    ['a >> ()', 'FLOW_SYNTAX', 6, /between brackets/u],
    ['| a', 'FLOW_SYNTAX', 0, /both sides/u],
    ['a (b)', 'FLOW_SYNTAX', 2, />> or \| is missing/u],
    ['* a', 'FLOW_SYNTAX', 0, /a name or a bracket is missing/u],
    ['(a | b', 'FLOW_SYNTAX', 0, /the bracket at 0 is not closed/u],
    ['a >> ((b | c)', 'FLOW_SYNTAX', 5, /the bracket at 5 is not closed/u],
    ['a)', 'FLOW_SYNTAX', 1, /the bracket at 1 closes nothing/u],
    ['(a | b).settled()', 'FLOW_SYNTAX', 7, /made in code/u],
    ['par(a, b)', 'UNKNOWN_NAME', 0, /made in code/u],
    ['a >> nosuch', 'UNKNOWN_NAME', 5, /the names beside the text are a, b, c, d, fetch, sub, store/u],
    ['a >> stroe', 'UNKNOWN_NAME', 5, /did you mean "store"\?/u],
    ['toString', 'UNKNOWN_NAME', 0, /unknown name "toString"/u],
    [`${'('.repeat(65)}a${')'.repeat(65)}`, 'LIMIT_EXCEEDED', 64, /64 deep/u],
  ]
  it.each(cases)('L7: %j is %s at %i', (text, code, position, says) => {
    const error = thrown(() => read(text))
    expect(error.code).toBe(code)
    expect(error.details).toEqual({ text, position })
    expect(error.message).toMatch(says)
  })

  it('L7: is shown with a caret under the place', () => {
    const [rows, geo] = [declareTask('rows'), declareTask('geo')]
    expect(thrown(() => read('rows >> nosuch', { rows, geo })).message).toBe(
      ['unknown name "nosuch" at 8; the names beside the text are rows, geo', '  rows >> nosuch', '          ^'].join(
        '\n',
      ),
    )
  })

  it('L7: is shown by line and column when it has several lines', () => {
    expect(
      thrown(() => read('\n  a >> (\n\t\tb | nosuch\n  )\n'))
        .message.split('\n')
        .slice(-2),
    ).toEqual(['  \t\tb | nosuch', '  \t\t    ^'])
    expect(thrown(() => read('\n  a >> (\n\t\tb | nosuch\n  )\n')).message).toContain('at 3:7')
  })

  it('L7: shows of a long line only what is around the caret', () => {
    const long = `${'a >> '.repeat(200)}nosuch >> ${'b >> '.repeat(200)}b`
    const [, line = '', caret = ''] = thrown(() => read(long)).message.split('\n')
    expect(line.length).toBeLessThan(110)
    expect(line.slice(caret.indexOf('^'))).toMatch(/^nosuch >> b/u)
  })

  it('L7: names what is no flow', () => {
    const error = thrown(() => read('a >> helper', { a, helper: () => 3 }))
    expect(error.code).toBe('INVALID_NODE')
    expect(error.message).toContain('"helper" at 5 is no flow, it is the function helper: a function becomes a flow by')
    expect(error.details).toEqual({ text: 'a >> helper', position: 5 })
  })

  it('lists at most twenty names', () => {
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`t${i}`, a]))
    expect(thrown(() => read('nosuch', many)).message).toContain('t19 and 10 more')
  })

  it('asks for the record when there is none', () => {
    expect(thrown(() => (flow as unknown as (text: string) => unknown)('a >> b')).code).toBe('UNKNOWN_NAME')
    expect(thrown(() => read('a', a)).message).toContain('got a flow')
    expect(thrown(() => (flow as unknown as (text: number) => unknown)(3)).code).toBe('FLOW_SYNTAX')
  })

  it('says so of a template too', () => {
    expect(thrown(() => flow`${a} >> b`).message).toContain('in a template every node is a ${…}')
    const error = thrown(() => flow`${a} >> (${Promise.resolve(a) as unknown as Flow} | ${b})`)
    expect(error.code).toBe('INVALID_NODE')
    expect(error.message).toBe(
      'the value at 9 is no flow, it is a promise: await it first\n  ${0} >> (${1} | ${2})\n           ^',
    )
  })

  it('holds no task with another handler by the same name', () => {
    const other = { a: task('x', () => 1), b: task('x', () => 2) }
    expect(thrown(() => read('a >> b', other)).code).toBe('DUPLICATE_TASK')
  })

  it('never overflows the stack or throws anything else', () => {
    const piece = fc.constantFrom('a', 'b', ' ', '(', ')', '|', '>>', '>', '*', '\n', '$', '.', '{0}', '😀', '\ud800')
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join('')),
        (text) => {
          let node: Flow
          try {
            node = read(text)
          } catch (error) {
            expect(error).toMatchObject({ name: 'GraflowError', details: { text } })
            return
          }
          const expression: Expression = expressionOf(node)
          expect(expressionOf(read(String(node)))).toEqual(expression)
        },
      ),
      { numRuns: 2_000 },
    )
  })
})
