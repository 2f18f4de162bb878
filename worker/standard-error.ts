/** Where a worker or an exporter in code writes its log, unless it is told otherwise. */
import { hostname } from 'node:os'
import type { Emitter } from '../lib/events.js'
import { writeLogLines, type LogFormat, type LogLevel } from '../lib/observe/log-lines.js'

/** Writes log events from now on; returns what ends that. */
export type WriteLog = (emitter: Emitter, level: LogLevel, format: LogFormat | 'auto' | undefined) => () => void

/**
 * In code a line is text unless an option says otherwise: the other lines on standard error are the user's.
 * @param name stands in every JSON line, such as `{ workerId: 'w1' }`
 */
export const writeToStandardError =
  (name: Readonly<Record<string, string>>): WriteLog =>
  (emitter, level, format = 'text') => {
    const isText = format === 'text' || (format === 'auto' && process.stderr.isTTY)
    const write = (line: string): void => {
      process.stderr.write(`${line}\n`)
    }
    const bindings = { pid: process.pid, hostname: hostname(), ...name }
    return writeLogLines(emitter, level, write, isText ? 'text' : 'json', bindings)
  }
