/** Audits the licences of everything that is installed in a project: `npm run demo`, or with `-- --help` for how else. */
import { join } from 'node:path'
import { connect, GraflowError } from 'graflow'
import { audit, steps } from './audit.js'
import { HELP, readCommand } from './command-line.js'
import { showProgress } from './progress.js'
import { count, numberText, render } from './render.js'

/** What the groups of the flow are called while they run, by their paths. */
const TITLES = { '': 'looking for packages', '1': 'inspecting packages', '2': 'by licence, by size, duplicates' }

async function main(words: readonly string[]): Promise<number> {
  const command = readCommand(words, join(import.meta.dirname, '../..'))
  if (command.kind === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  if (command.kind === 'wrong') {
    process.stderr.write(`licence-audit: ${command.problem}\n\n${HELP}`)
    return 2
  }
  const interrupt = new AbortController()
  process.once('SIGINT', () => interrupt.abort(new Error('interrupted')))

  const startedAt = performance.now()
  await using graflow = await connect({ logLevel: 'warn' })
  const run = await graflow.start(audit, command.directory, { signal: interrupt.signal })
  const [, ended] = await Promise.allSettled([showProgress(run, TITLES, process.stderr), run.result()])
  const durationMs = Math.round(performance.now() - startedAt)
  if (ended.status === 'rejected') {
    process.stderr.write(`licence-audit: ${reasonOf(ended.reason)}\n`)
    return interrupt.signal.aborted ? 130 : 1
  }
  const report = ended.value
  const { total: branches } = await run.status()
  const branchesPerSecond = Math.round((1_000 * branches) / durationMs)
  if (command.isJson) {
    const ran = { branches, durationMs, branchesPerSecond, engine: 'embedded' }
    process.stdout.write(`${JSON.stringify({ directory: command.directory, ...report, ran }, null, 2)}\n`)
    return 0
  }
  const { isTTY, columns } = process.stdout
  const hasColour = isTTY && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb'
  process.stdout.write(render(report, { columns: isTTY ? columns : 80, hasColour }))
  process.stdout.write(
    `\n${String(steps)}\n` +
      `${count(report.packages, 'package')} inspected in ${count(branches, 'branch', 'branches')}, ` +
      `${(durationMs / 1_000).toFixed(2)} s (${numberText(branchesPerSecond)} branches/s)\n` +
      `${numberText(report.filesRead)} of ${count(report.files, 'file')} read; ` +
      'embedded engine in this process (no Redis needed)\n',
  )
  return 0
}

/** A task's own words say more to people than that it was a task that failed. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error instanceof GraflowError && error.code === 'TASK_FAILED' ? reasonOf(error.cause) : error.message
}

// Whoever reads only the head of the output has what they wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})
process.exitCode = await main(process.argv.slice(2))
