import fc from 'fast-check'
import { GraflowError } from '../../lib/errors.js'
import { flow } from '../../lib/flow/flow.js'
import { declareTask } from '../../lib/flow/task.js'
import { compile } from './compile.js'

/** So many random texts; together with those that are written out they are compiled at once. */
const RANDOM_TEXTS = 400

const written = [
  ...[
    'a',
    ' a ',
    '((a))',
    'a>>b|c*',
    'a*',
    'a**',
    '(a | b)*',
    'a >> (b | c) >> a',
    '(a | b) | c',
    'a | b >> c',
    '\ta\n>>\tb',
  ],
  ...[
    '',
    ' ',
    'a >>',
    '>> a',
    'a b',
    'a | | b',
    'a || b',
    '()',
    '(a',
    'a)',
    'a > b',
    'a -> b',
    'a, b',
    'a;b',
    'nosuch',
    'a >> nosuch',
  ],
  ...[
    'a >>\n  nosuch | b',
    'a\n>> (b\n| c',
    'a\n\n)',
    'par(a)',
    'a.settled()',
    '(a).settled()',
    'a*b',
    '*',
    'a & b',
    'a\n->\nb',
  ],
]

const piece = fc.constantFrom(
  'a',
  'b',
  'c',
  'a',
  'b',
  ' ',
  ' ',
  '(',
  ')',
  '|',
  ' | ',
  '>>',
  ' >> ',
  '>',
  '*',
  '\n',
  '\t',
  'd',
  ',',
)
const random = fc.sample(
  fc.array(piece, { minLength: 1, maxLength: 14 }).map((pieces) => pieces.join('')),
  { numRuns: RANDOM_TEXTS, seed: 1 },
)
const texts = [...new Set([...written, ...random])]

/** What the parser makes of each text: `fine`, or its code with the place that its message names. */
function atRunTime(text: string): string {
  const names = { a: declareTask('a'), b: declareTask('b'), c: declareTask('c') }
  try {
    flow(text, names)
    return 'fine'
  } catch (error) {
    if (!(error instanceof GraflowError)) throw error
    return placeIn(error.message.split('\n')[0] ?? '')
  }
}

/** The same of the compiler. */
function atCompileTime(): readonly string[] {
  const head = [
    "import { flow, type Node } from 'graflow'",
    'declare const names: { a: Node<any, any>; b: Node<any, any>; c: Node<any, any> }',
  ]
  const { errors } = compile(
    'grammar.ts',
    [...head, ...texts.map((text) => `flow(${JSON.stringify(text)}, names)`)].join('\n'),
  )
  const said = new Map(errors.map((error) => [Number(/^grammar\.ts:(\d+):/u.exec(error)?.[1]), error]))
  return texts.map((_, i) => {
    const error = said.get(i + head.length + 1)
    return error === undefined ? 'fine' : placeIn(error)
  })
}

const placeIn = (message: string): string =>
  /\bat (?<place>\d+(?::\d+)?)/u.exec(message)?.groups?.['place'] ?? `no place: ${message}`

describe('the grammar of texts', () => {
  it('is the same for the compiler and at run time, and so are the places of errors', () => {
    const compiled = atCompileTime()
    const table = texts.map((text, i) => ({ text, compiler: compiled[i], parser: atRunTime(text) }))
    expect(table.filter(({ parser }) => parser === 'fine').length).toBeGreaterThan(20)
    expect(table.filter(({ parser }) => parser !== 'fine').length).toBeGreaterThan(100)
    expect(table.filter(({ compiler, parser }) => compiler !== parser)).toEqual([])
  })
})
