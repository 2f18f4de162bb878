/**
 * Turns failed starts into lines of the log: at warn when the branch or step has failed, at debug when it will be started again. A task that
 * fails thousands of times a second must not fill the log: of many in one second, the last are counted in one line.
 */
import { messageOf } from '../describe.js'
import type { Emitter, EventOf } from '../events.js'

/** Lines in one second. */
const MOST_LINES = 100

/** Logs from now on; returns what ends that. */
export function logFailures(emitter: Emitter): () => void {
  let second = 0
  let lines = 0
  let omitted = 0
  const logOmitted = (): void => {
    if (omitted === 0) return
    const message = `${omitted} more starts failed in the same second and have no line of their own`
    omitted = 0
    emitter.emit('log', { level: 'warn', message })
  }
  return emitter.subscribe('start:failed', (event) => {
    const now = Math.floor(event.at.getTime() / 1_000)
    if (now !== second) {
      logOmitted()
      second = now
      lines = 0
    }
    lines += 1
    if (lines > MOST_LINES) omitted += 1
    else emitter.emit('log', lineOf(event))
  })
}

function lineOf({ runId, path, task, attempt, workerId, what, delayMs, error }: EventOf<'start:failed'>): {
  readonly level: 'warn' | 'debug'
  readonly message: string
  readonly details: Error
} & Pick<EventOf<'start:failed'>, 'runId' | 'path' | 'task' | 'attempt' | 'workerId'> {
  const place = { runId, path, task, attempt, workerId, details: error }
  const why = messageOf(error)
  if (delayMs === undefined) return { level: 'warn', message: `${what} failed: ${why}`, ...place }
  return { level: 'debug', message: `${what} failed, and is started again in ${delayMs} ms: ${why}`, ...place }
}
