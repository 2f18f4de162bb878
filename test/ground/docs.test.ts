import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ERROR_CODES } from '../../lib/errors.js'
import { readDoc, tableRows } from './doc-table.js'

const manifest = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8'))

describe('a table of the docs', () => {
  const page = '# A\n\n| x | y |\n|---|---|\n| `a` | b \\| c |\n\ntext\n\n## B\n| z |\n| :-: |\n| 1 |\n| 2 |\n'

  it('is read by its heading, without its head', () => {
    expect(tableRows(page, 'A')).toEqual([['`a`', 'b | c']])
    expect(tableRows(page, 'B')).toEqual([['1'], ['2']])
    expect(() => tableRows(page, 'C')).toThrow('no heading "C"')
  })
})

describe('docs/errors.md', () => {
  it('says of every code what the table in lib/errors.ts says, and of no other', () => {
    const told = Object.entries(ERROR_CODES).map(
      ([code, { meaning, retryable, httpStatus, exitCode }]) =>
        `| \`${code}\` | ${meaning} | ${retryable ? 'yes' : 'no'} | ${String(httpStatus)} | ${String(exitCode)} |`,
    )
    // A difference shows the rows to write.
    expect(tableRows(readDoc('errors.md'), 'Codes').map((cells) => `| ${cells.join(' | ')} |`)).toEqual(told)
  })
})

describe('docs/dependencies.md', () => {
  it.each([
    ['What users install', 'dependencies'],
    ['What developers install', 'devDependencies'],
  ])('%s: a reason for each of %s, and for no other', (section, kind) => {
    const rows = tableRows(readDoc('dependencies.md'), section)
    expect(rows.map(([name]) => name)).toEqual(Object.keys(manifest[kind]).map((name) => `\`${name}\``))
    expect(rows.filter(([, why]) => why === undefined || why.length < 10)).toEqual([])
  })
})
