import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from './compile.js'

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

  // GRAFLOW_WRITE_MESSAGES=1 npx jest test/types/messages rewrites the file; read the difference before it is kept.
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
