/** Log events of a process as lines on standard output: text on a terminal, else JSON, one object a line. */
import { pino } from 'pino'
import { describeError } from '../lib/describe.js'
import type { Emitter } from '../lib/events.js'
import { type LogLevel, writeLogLines } from '../lib/observe/log-lines.js'

/**
 * Writes log events; returns what ends that. What was written is written: nothing is kept for later, so that the last words of a process
 * are not lost.
 * @param bindings stand in every JSON line
 */
export function writeLog(
  emitter: Emitter,
  level: LogLevel,
  format: 'json' | 'text',
  bindings: Readonly<Record<string, unknown>>,
): () => void {
  if (level === 'silent') return () => undefined
  if (format === 'text') {
    return writeLogLines(emitter, level, (line) => {
      process.stdout.write(`${line}\n`)
    })
  }
  const destination = pino.destination({ fd: 1, sync: true })
  // Whoever read our output may be gone; the work goes on.
  destination.on('error', () => undefined)
  const logger = pino(
    {
      level,
      base: bindings,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
  return emitter.subscribe('log', ({ level: at, message, runId, task, path, attempt, details }) => {
    const error = details instanceof Error ? { err: details } : details === undefined ? {} : { details }
    const place = { runId, task, path, attempt }
    try {
      logger[at]({ ...place, ...error }, message)
    } catch (thrown) {
      // What handlers throw may throw again when it is looked at.
      logger[at]({ ...place, details: `(cannot be shown: ${describeError(thrown)})` }, message)
    }
  })
}
