/** What every example's command does alike: signals, broken pipes, and how it ends. */
import { GraflowError } from 'graflow'

/**
 * Runs an example's command, and ends the process with the exit code it gives: 1 when it throws, 130 when it throws after an interrupt. Its
 * signal aborts on the first SIGINT or SIGTERM; a second ends the process at once.
 */
export async function runProgram(
  name: string,
  main: (words: readonly string[], signal: AbortSignal) => Promise<number>,
): Promise<void> {
  // Whoever reads only the head of the output has what they wanted.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  const interrupt = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => interrupt.abort(new Error('interrupted')))
  try {
    process.exitCode = await main(process.argv.slice(2), interrupt.signal)
  } catch (error) {
    process.stderr.write(`${name}: ${reasonOf(error)}\n`)
    process.exitCode = interrupt.signal.aborted ? 130 : 1
  }
}

/** A task's own words say more to people than that it was a task that failed. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error instanceof GraflowError && error.code === 'TASK_FAILED' ? reasonOf(error.cause) : error.message
}
