/** Writes `log` events as lines, text for people or JSON for collectors. A subscriber like any other: the engine does not know of it. */
import { describe, describeError } from '../describe.js'
import type { EventOf, Events } from '../events.js'

export type LogFormat = 'json' | 'text'

const LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LEVELS)[number] | 'silent'

/**
 * Writes every log event of this level or above; returns what ends that.
 * @param write gets one line, without its line break
 * @param bindings stand in every JSON line
 */
export function writeLogLines(
  emitter: Events,
  level: LogLevel,
  write: (line: string) => void,
  format: LogFormat = 'text',
  bindings: Readonly<Record<string, unknown>> = {},
): () => void {
  if (level === 'silent') return () => undefined
  const least = LEVELS.indexOf(level)
  return emitter.subscribe('log', (event) => {
    if (LEVELS.indexOf(event.level) >= least) write(format === 'json' ? jsonOf(event, bindings) : lineOf(event))
  })
}

/** With the fields that the command writes, too (bin/log.ts). */
function jsonOf(
  { at, level, message, runId, task, path, attempt, workerId, details }: EventOf<'log'>,
  bindings: object,
): string {
  const extra = details instanceof Error ? { err: plain(details) } : details === undefined ? {} : { details }
  const worker = workerId === undefined ? {} : { workerId }
  const line = { level, time: at.toISOString(), ...bindings, ...worker, runId, task, path, attempt }
  try {
    return JSON.stringify({ ...line, ...extra, msg: message }, plainOf)
  } catch (error) {
    return JSON.stringify({ ...line, details: `(cannot be shown: ${describeError(error)})`, msg: message })
  }
}

/** Text from handlers is escaped: a line break or a terminal's control codes in a message cannot forge a line. */
const escaped = (text: string): string =>
  text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

function lineOf({ at, level, message, runId, task, path, attempt, details }: EventOf<'log'>): string {
  const start = attempt === undefined ? undefined : `attempt ${attempt}`
  const place = [task, path, runId, start].filter((part) => part !== undefined).join(' ')
  return `${at.toISOString()} ${level.padEnd(5)} ${escaped(message)}${place === '' ? '' : ` (${escaped(place)})`}${details === undefined ? '' : ` ${escaped(shown(details))}`}`
}

/** What JSON would leave out or refuse. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Map)
    return Object.fromEntries(
      [...value].map(([key, item]) => [typeof key === 'string' ? key : describe(key), item as unknown]),
    )
  if (value instanceof Set) return [...value]
  if (!(value instanceof Error)) return value
  // Its own properties are what libraries put there: code, status, path.
  return {
    ...Object.fromEntries(Object.entries(value)),
    name: value.name,
    message: value.message,
    stack: value.stack,
    cause: value.cause,
  }
}

/** A log has the stacks, which the JSON form of an error leaves out: what stood there before is looked at. */
function plainOf(this: Readonly<Record<string, unknown>>, key: string, value: unknown): unknown {
  return plain(this[key] instanceof Error ? this[key] : value)
}

function shown(details: object): string {
  try {
    return JSON.stringify(details, plainOf)
  } catch (error) {
    return `(details cannot be shown: ${describeError(error)})`
  }
}
