/** Audits the licences of all packages that are installed in a project: `npm run demo`; `-- --help` shows the options. */
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Graflow } from 'graflow'
import { openEngine } from '../support/engine.js'
import { runProgram } from '../support/program.js'
import { showProgress } from '../support/progress.js'
import { audit, steps } from './audit.js'
import { HELP, readCommand } from './command-line.js'
import { count, numberText, render } from './render.js'

/** Titles of the groups for the progress display, by their paths. */
const TITLES = { '': 'looking for packages', '1': 'inspecting packages', '2': 'by licence, by size, duplicates' }
/** Packages at once. Reading files is mostly waiting. */
const MAX_CONCURRENT_TASKS = 64

async function main(words: readonly string[], signal: AbortSignal): Promise<number> {
  const command = readCommand(words, join(import.meta.dirname, '../..'))
  if (command.kind === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  if (command.kind === 'wrong') {
    process.stderr.write(`licence-audit: ${command.problem}\n\n${HELP}`)
    return 2
  }
  await using engine = await openEngine({
    workers: command.workers,
    tasks: join(import.meta.dirname, 'audit.ts'),
    maxConcurrentTasks: MAX_CONCURRENT_TASKS,
    signal,
  })
  if (engine.kind === 'redis') process.stderr.write(`${engine.description}\n`)
  const startedAt = performance.now()
  const run = await engine.graflow.start(audit, command.directory, { signal })
  const [, ended] = await Promise.allSettled([showProgress(run, TITLES, process.stderr), run.result()])
  if (ended.status === 'rejected') throw ended.reason
  const durationMs = Math.round(performance.now() - startedAt)
  const report = ended.value
  const { groups } = await run.status()
  if (command.report !== undefined) await writeReport(engine.graflow, run.id, command.report)
  const branches = groups.reduce((sum, { width }) => sum + width, 0)
  const branchesPerSecond = Math.round((1_000 * branches) / durationMs)
  if (command.isJson) {
    const ran = { branches, durationMs, branchesPerSecond, engine: engine.kind, workers: engine.workers }
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
      `${engine.description}\n${engine.hint}`,
  )
  return 0
}

async function writeReport(graflow: Graflow, runId: string, file: string): Promise<void> {
  const path = resolve(process.env['INIT_CWD'] ?? '.', file)
  await writeFile(path, (await graflow.runs.report(runId)).toHtml())
  process.stderr.write(`the report: ${path}\n`)
}

await runProgram('licence-audit', main)
