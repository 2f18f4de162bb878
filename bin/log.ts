/** Log events of a process as lines on standard output: text on a terminal, else JSON, one object a line. */
import { pino } from 'pino'
import { describeError } from '../lib/describe.js'
import type { Emitter } from '../lib/events.js'
import { type LogLevel, writeLogLines } from '../lib/observe/log-lines.js'
import { errorFromRecord, errorToRecord, isError } from '../lib/values/error-record.js'

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
  // The reader of our output may be gone; the work goes on.
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
    const place = { runId, task, path, attempt }
    try {
      // What a handler threw may throw again when it is looked at: its record does not.
      const error = isError(details)
        ? { err: errorFromRecord(errorToRecord(details)) }
        : details === undefined
          ? {}
          : { details }
      logger[at]({ ...place, ...error }, message)
    } catch (thrown) {
      logger[at]({ ...place, details: `(cannot be shown: ${describeError(thrown)})` }, message)
    }
  })
}
