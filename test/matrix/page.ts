/**
 * The matrix as docs/matrix.md shows it, made of the tables that the test plays. As a program it prints the page:
 * `node --import tsx test/matrix/page.ts > docs/matrix.md`.
 */
import type { Option } from './table.js'
import { GROUP_OPTIONS } from './group-options.js'
import { JOINS } from './joins.js'
import { PLACES } from './places.js'
import { TASK_OPTIONS } from './task-options.js'

const HEAD = `# The matrix

An option of a task or a group means the same wherever the task or group stands. The matrix has a row for every option and join, one
for a task that only another worker knows, and a column for every place. \`test/long/matrix.test.ts\` plays each cell twice: embedded, and on Redis with several workers. The page is made from the
tables of that test, and compared with them. To make it anew: \`node --import tsx test/matrix/page.ts > docs/matrix.md\`.

✓ means that the cell is observed on both stores, as [below](#what-a-cell-looks-at). A number stands for [the reason](#where-there-is-nothing-to-look-at)
why there is nothing to look at. \`isolation\` has no row: a thread needs a
module, so [threads](guides/threads.md) have tests of their own (\`test/long/task-threads.test.ts\`).

Embedded means \`connect()\` itself. It is one worker that serves every queue and has every capability, so the rows for queues, capabilities,
workers, priorities and losses have several workers on the same store instead, all in one process.
`

const row = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(head), `|${'---|'.repeat(head.length)}\n`, ...rows.map(row)].join('')

/** @param reasons gets those of these options that it does not have yet */
function matrixOf(options: readonly Option[], reasons: string[]): string {
  const rows = options.map((option) => [
    `\`${option.name}\``,
    ...PLACES.map(({ name }) => {
      const reason = option.cannot?.[name]
      if (reason === undefined) return '✓'
      if (!reasons.includes(reason)) reasons.push(reason)
      return `${reasons.indexOf(reason) + 1}`
    }),
  ])
  return table(['', ...PLACES.map(({ name }) => name)], rows)
}

const shownBy = (options: readonly Option[]): readonly (readonly string[])[] =>
  options.map(({ of, name, shows }) => [`\`${name}\` of a ${of}`, `${shows.charAt(0).toUpperCase()}${shows.slice(1)}.`])

/** The whole page. */
export function matrixPage(): string {
  const reasons: string[] = []
  const [tasks, groups] = [matrixOf(TASK_OPTIONS, reasons), matrixOf([...GROUP_OPTIONS, ...JOINS], reasons)]
  return [
    HEAD,
    `## Options of a task\n\n${tasks}`,
    `## Options and joins of a group\n\n${groups}`,
    `## Places\n\nHere \`x\` is the task or group that has the option.\n\n${table(
      ['place', 'flow'],
      PLACES.map(({ name, text }) => [name, `\`${text}\``]),
    )}`,
    `## What a cell looks at\n\n${table(['row', 'a cell sees'], shownBy([...TASK_OPTIONS, ...GROUP_OPTIONS, ...JOINS]))}`,
    `## Where there is nothing to look at\n\n${reasons.map((reason, i) => `${i + 1}. ${reason}\n`).join('')}`,
  ].join('\n')
}

if (process.argv[1]?.endsWith('matrix/page.ts') === true) process.stdout.write(matrixPage())
