/** Reads the tables of a Markdown page, so that tests can compare them with the code they speak of. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const cellsOf = (line: string): string[] =>
  line
    .slice(1, line.endsWith('|') ? -1 : undefined)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'))

/** The rows of all tables below the heading `section` (of any level; up to the next heading), as cells without the head rows. */
export function tableRows(page: string, section: string): readonly (readonly string[])[] {
  const lines = page.split('\n')
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === section)
  if (start === -1) throw new Error(`the page has no heading "${section}"`)
  const length = lines.slice(start + 1).findIndex((line) => /^#+ /.test(line))
  const body = lines.slice(start + 1, length === -1 ? undefined : start + 1 + length)
  const isRow = (line: string | undefined): boolean => line?.startsWith('|') ?? false
  const isRule = (line: string | undefined): boolean => /^\|[\s:|-]+$/.test(line ?? '')
  return body.filter((line, at) => isRow(line) && !isRule(line) && !isRule(body[at + 1])).map(cellsOf)
}

/** The text of a page in docs/. */
export const readDoc = (name: string): string => readFileSync(join(__dirname, '../../docs', name), 'utf8')
