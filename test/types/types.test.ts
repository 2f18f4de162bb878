/**
 * What the compiler says of flows. In one file, since most of the time is that the compiler reads the library and its own types, once a
 * file. How much work large flows are is in test/long/compiler-work.test.ts.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { GraflowError } from '../../lib/errors.js'
import { flow } from '../../lib/flow/flow.js'
import { declareTask } from '../../lib/flow/task.js'
import { compile } from './compile.js'

// Seconds on a machine at rest.
jest.setTimeout(120_000)

const source = join(__dirname, 'messages.ts')
const stored = join(__dirname, 'messages.txt')

/** The members of a union come in the order in which the compiler happened to meet them; here in that of the alphabet. */
const inOrder = (error: string): string =>
  error.replace(/"[^"]*"(?: \| "[^"]*")+/gu, (union) => union.split(' | ').sort().join(' | '))

/** Each mistake in its own words, then what the compiler says of it and at which column; a new one changes no other. */
function readable(text: string, errors: readonly string[]): string {
  const lines = text.split('\n')
  return errors
    .map((error) => {
      const [, line, said = error] = /^messages\.ts:(\d+):(.*)$/su.exec(error) ?? []
      return `${(lines[Number(line) - 1] ?? '').trim()}\n  ${inOrder(said).replaceAll('\n', '\n  ')}\n`
    })
    .join('\n')
}

describe('what the compiler says of mistakes', () => {
  const text = readFileSync(source, 'utf8')
  const { errors } = compile('messages.ts', text)
  const said = readable(text, errors)

  // GRAFLOW_WRITE_MESSAGES=1 npx jest test/types rewrites the file; read the difference before it is kept.
  if (process.env['GRAFLOW_WRITE_MESSAGES'] !== undefined) writeFileSync(stored, said)

  it('L8: is what messages.txt says, for a mismatch in every spelling', () => {
    expect(said).toBe(readFileSync(stored, 'utf8'))
  })

  it('L8: names both types of a mismatch', () => {
    const spellings = ['seq(rows, cost)', 'rows.to(cost)', "flow('rows >> cost', { rows, cost })"]
    for (const spelling of spellings) {
      const line = text.split('\n').indexOf(spelling) + 1
      const error = errors.find((e) => e.startsWith(`messages.ts:${line}:`))
      expect(error).toContain('rows gives", { id: number; }[], "but cost takes", { id: number; }')
    }
  })

  it('is something for each mistake, and never that no overload matches', () => {
    const mistakes = text
      .split('\n')
      .filter((line) => /^(?:seq|flow|par|each|choose|loop|task|declareTask|\w+\.(?:to|with))\(/u.test(line))
    const silent = mistakes.filter((line) => !said.includes(line))
    expect(silent.filter((line) => !/[({]$/u.test(line))).toEqual([])
    expect(
      errors.filter((error) => error.includes('No overload matches')).map((error) => error.split('\n')[0]),
    ).toEqual([])
  })
})

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
