/** docs/reliability.md says what the fault tests break: the two are compared, both ways. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const idsIn = (text: string): string[] => [...new Set(text.match(/FT-[A-Z]\d+/g) ?? [])].sort()

it('every fault of docs/reliability.md is tested, and every test of a fault is there', () => {
  const page = readFileSync(join(__dirname, '../../docs/reliability.md'), 'utf8')
  const rows = page.split('\n').filter((line) => line.startsWith('| FT-'))
  const tests = ['../faults', '../long']
    .map((folder) => join(__dirname, folder))
    .flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.test.ts'))
        .map((name) => join(folder, name)),
    )
  tests.push(join(__dirname, '../contract/take-over.ts')) // what the store does alone when nobody takes a run over
  const titles = tests
    .map((name) => readFileSync(name, 'utf8'))
    .flatMap((text) => text.match(/['`](?:[A-Z]\d+, )*FT-[^'`\n]*/g) ?? [])
  expect(idsIn(rows.map((row) => row.slice(0, 12)).join('\n'))).toEqual(idsIn(titles.join('\n')))
})
