/** What all examples' commands share: signals, broken pipes and exit codes. */
import { GraflowError } from 'graflow'

/**
 * Runs an example's command and exits with the code that it returns: 1 when it throws, 130 when it throws after an interrupt. Its signal
 * aborts on the first SIGINT or SIGTERM. A second one ends the process at once.
 */
export async function runProgram(
  name: string,
  main: (words: readonly string[], signal: AbortSignal) => Promise<number>,
): Promise<void> {
  // A reader such as `head` closes the pipe early. That is no error.
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

/** The message of the task's own error helps people more than TASK_FAILED. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error instanceof GraflowError && error.code === 'TASK_FAILED' ? reasonOf(error.cause) : error.message
}
