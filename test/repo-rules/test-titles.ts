/**
 * Reads the titles of all tests, and makes the table of docs/testing-ids.md from those that begin with ids. As a program it prints the
 * page: `node --import tsx test/repo-rules/test-titles.ts > docs/testing-ids.md`.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export interface Title {
  readonly file: string
  /** Of the describe blocks around it, then its own; placeholders as they are written. */
  readonly path: readonly string[]
  /** Of the rows that it covers, in the order of its title. */
  readonly ids: readonly string[]
}

/** A behaviour (`X5`, `P2a`), or a fault (`FT-W6`). */
const ID = /(?:FT-)?[A-Z]\d+[a-z]?/
const IDS = new RegExp(`^${ID.source}(?:, ${ID.source})*(?=: )`)
const ONLY_IDS = new RegExp(`^${ID.source}(?:, ${ID.source})*$`)
const TESTS = new Set(['it'])
const GROUPS = new Set(['describe', 'describeOnBackends', 'describeOnBothStores'])

/**
 * Every `it` of a file.
 * @param around titles of describe blocks in another file that calls this one
 */
export function titlesOf(file: string, text: string, around: readonly string[] = []): readonly Title[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const found: Title[] = []
  const visit = (node: ts.Node, path: readonly string[], ids: readonly string[]): void => {
    const call = declarationOf(node)
    if (call === undefined) return ts.forEachChild(node, (child) => visit(child, path, ids))
    const { name, title, rows } = call
    const own = [...ids, ...idsIn(title), ...(title.startsWith('%s: ') ? rowIds(rows) : [])]
    if (TESTS.has(name)) found.push({ file, path: [...path, title], ids: [...new Set(own)] })
    else ts.forEachChild(node, (child) => visit(child, [...path, title], own))
  }
  visit(source, around, [])
  return found
}

const idsIn = (title: string): readonly string[] => IDS.exec(title)?.[0].split(', ') ?? []

/** `name('title', …)`, or `name.each(rows)('title', …)`. */
function declarationOf(
  node: ts.Node,
): { readonly name: string; readonly title: string; readonly rows: ts.Node | undefined } | undefined {
  if (!ts.isCallExpression(node)) return undefined
  const [first] = node.arguments
  if (first === undefined || !(ts.isStringLiteralLike(first) || ts.isTemplateExpression(first))) return undefined
  const title = ts.isStringLiteralLike(first) ? first.text : first.getText().slice(1, -1)
  let { expression } = node
  let rows: ts.Node | undefined
  if (ts.isCallExpression(expression) && ts.isPropertyAccessExpression(expression.expression)) {
    if (expression.expression.name.text === 'each') [rows] = expression.arguments
    expression = expression.expression.expression
  }
  const name = expression.getText()
  if (TESTS.has(name) || GROUPS.has(name)) return { name, title, rows }
  // what `onlyEmbedded(…)` gives is called as `it` is, under whatever name
  return IDS.test(title) && node.arguments.some(ts.isFunctionLike) ? { name: 'it', title, rows } : undefined
}

/** Rows of `each` that are ids stand at the beginning of the title. */
function rowIds(rows: ts.Node | undefined): readonly string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) && ONLY_IDS.test(node.text)) found.push(...node.text.split(', '))
    ts.forEachChild(node, visit)
  }
  if (rows !== undefined) visit(rows)
  return found
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Of all files below test/; those that a suite shares, such as the contract's, included. */
export const allTitles = (): readonly Title[] =>
  readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .map((below) => `test/${below.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.ts') && !path.startsWith('test/types/c'))
    .sort()
    .flatMap((path) => titlesOf(path, readFileSync(join(root, path), 'utf8'), aroundIn(path)))

/** The contract suite has one file a topic, and calls each within a describe block of its own. */
function aroundIn(path: string): readonly string[] {
  const topic = /^test\/contract\/(\w+)\.ts$/.exec(path)?.[1]
  if (topic === undefined || topic === 'suite') return []
  const suite = readFileSync(join(root, 'test/contract/suite.ts'), 'utf8')
  const call = new RegExp(`describe\\('(\\w+)', \\(\\) => describe${topic}\\(`, 'i').exec(suite)
  if (call?.[1] === undefined) throw new Error(`expected a call of ${path} in test/contract/suite.ts`)
  return ['the backend contract', call[1]]
}

/** Full names that two tests have, so that neither is found by it. */
export function doubled(titles: readonly Title[]): readonly string[] {
  const names = titles.map(({ path }) => path.join(' › '))
  return names.filter((name, i) => names.indexOf(name) !== i)
}

/** Of letters that both tables have, behaviours have the numbers up to here. */
const LAST_BEHAVIOUR: Readonly<Record<string, number>> = { D: 11, P: 5, R: 6, W: 0, Q: 0, H: 0 }

/** Ids of faults that are written like behaviours. */
export const bareFaults = (titles: readonly Title[]): readonly string[] =>
  titles.flatMap(({ ids, path }) =>
    ids
      .filter(
        (id) => !id.startsWith('FT-') && Number.parseInt(id.slice(1)) > (LAST_BEHAVIOUR[id.charAt(0)] ?? Infinity),
      )
      .map((id) => `${id} in ${path.join(' › ')}`),
  )

/** Rows that the page has and the tests have not, and the other way round. */
export function difference(
  page: string,
  titles: readonly Title[],
): { readonly stale: string[]; readonly new: string[] } {
  const written = page.split('\n').filter((line) => /^\| (FT-)?[A-Z]\d/.test(line))
  const rows = idRows(titles)
  return {
    stale: written.filter((row) => !rows.includes(row)),
    new: rows.filter((row) => !written.includes(row)),
  }
}

/** Behaviours first, then faults; by letter, then by number. */
function inOrder(a: string, b: string): number {
  const key = (id: string): string => id.replace(/\d+/, (digits) => digits.padStart(3, '0'))
  const isFault = (id: string): number => Number(id.startsWith('FT-'))
  return isFault(a) - isFault(b) || (key(a) < key(b) ? -1 : 1)
}

/** The rows of the table: id, the test's full name, its file. */
function idRows(titles: readonly Title[]): readonly string[] {
  const ids = [...new Set(titles.flatMap((title) => title.ids))].sort(inOrder)
  const cell = (text: string): string => text.replaceAll('|', '\\|').replace(/\s+/g, ' ')
  return ids.flatMap((id) =>
    titles
      .filter((title) => title.ids.includes(id))
      .map(({ file, path }) => `| ${id} | ${cell(path.join(' › '))} | \`${file}\` |`),
  )
}

const PAGE_HEAD = `# Ids of behaviours and faults

A test that shows a promised behaviour begins with the behaviour's id: L the language, S sequences and data, C channels, D dynamic control,
R retries and time, J joins, X several processes, P taking a run up again, T waiting for time and people, V several versions. \`FT-\` marks a fault that a test brings about: P the producer's,
W a worker's, R the sweep's, D Redis', Q what lies in the store, H what must not leak; [reliability](reliability.md) says what happens then.

\`npx jest -t '\\bX5\\b'\` runs the tests of one id. The table is made from the titles; a test compares the two, both ways. To make it anew:
\`node --import tsx test/repo-rules/test-titles.ts > docs/testing-ids.md\`.

| id | test | file |
|---|---|---|
`

export const pageOf = (titles: readonly Title[]): string => `${PAGE_HEAD}${idRows(titles).join('\n')}\n`

if (process.argv[1]?.endsWith('test-titles.ts') === true) process.stdout.write(pageOf(allTitles()))
