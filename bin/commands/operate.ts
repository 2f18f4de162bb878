/** What the commands for operators have in common: a client without code, words that name an action, pages, and looking again and again. */
import { connect } from '../../lib/connect.js'
import { ERROR_CODES, GraflowError } from '../../lib/errors.js'
import type { Page, QueueSummary } from '../../lib/producer/operator-types.js'
import type { Graflow } from '../../lib/producer/types.js'
import { addressOf, type WorkerOptions } from '../../worker/worker-options.js'
import { invalid, meant, shown } from '../command.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Host } from '../host.js'
import { duration, painter, plainText, toJson } from '../output.js'
import type { Given } from '../settings.js'
import { table } from '../table.js'
import { CONNECTION_OPTIONS } from './options.js'

type Connection = Pick<WorkerOptions, 'redisUrl' | 'redisHost' | 'redisPort' | 'redisDb' | 'keyPrefix'>

/** Where a page begins, and how long it is. */
export interface PageSettings {
  readonly pageLimit?: number
  readonly pageCursor?: string
}

/** @returns what the client's lists take */
export const pageOf = ({ pageLimit, pageCursor }: PageSettings): { limit?: number; cursor?: string } => ({
  ...(pageLimit !== undefined && { limit: pageLimit }),
  ...(pageCursor !== undefined && { cursor: pageCursor }),
})

/** Does something with a client that has no code, and closes it. @throws GraflowError REDIS_UNAVAILABLE and what `work` throws */
export async function withClient<T>(given: Given, work: (graflow: Graflow) => Promise<T>): Promise<T> {
  const options = given.options as Connection // the table has these
  const { keyPrefix } = options
  const graflow = await connect(addressOf(options), {
    ...(keyPrefix !== undefined && { keyPrefix }),
    logLevel: 'silent',
  })
  try {
    return await work(graflow)
  } finally {
    await graflow.close()
  }
}

/** An action and what it is done to. */
export interface Asked<A extends string> {
  readonly action: A | undefined
  readonly rest: readonly string[]
}

/** Whether the first word names an action. */
export function askedOf<const A extends string>(given: Given, actions: readonly A[]): Asked<A> {
  const [first, ...rest] = given.words
  const action = actions.find((one) => one === first)
  return { action, rest: action === undefined ? given.words : rest }
}

/** The one word that is expected behind an action. @throws GraflowError INVALID_OPTION */
export function oneWord(words: readonly string[], what: string, example: string): string {
  const [word, ...more] = words
  if (word !== undefined && more.length === 0) return word
  throw invalid(`expected ${what}, got ${word === undefined ? 'nothing' : `${words.length} words`}: write ${example}`)
}

/** A word that should name an action. */
export const unknownAction = (word: string, actions: readonly string[], command: string): GraflowError =>
  invalid(
    `expected one of ${actions.join(', ')}, got ${JSON.stringify(shown(word))}${meant(word, actions)}; ${command} --help says what there is`,
  )

/**
 * Refuses flags that do nothing in what is asked for: who writes `dead purge --task a` does not want all to be deleted.
 * @param form what is asked for, as people write it
 * @param takes the options and switches that count there, beside the connection and `--json`
 * @throws GraflowError INVALID_OPTION
 */
export function refuseIdle({ sources, switches }: Given, form: string, takes: readonly string[]): void {
  const flags = Object.entries(sources).filter(
    ([option, from]) => from.startsWith('--') && !Object.hasOwn(CONNECTION_OPTIONS, option),
  )
  const ofSwitches = [...switches].filter((name) => name !== 'json').map((name) => [name, `--${name}`] as const)
  const idle = [...flags, ...ofSwitches].find(([option]) => !takes.includes(option))
  if (idle === undefined) return
  const command = form.split(' ', 2).join(' ')
  throw invalid(`${idle[1]}: ${form} does not take it; ${command} --help says what it is for`)
}

/** Options of pages. */
export const PAGED = ['pageLimit', 'pageCursor', 'watch'] as const

const LOOK_MS = 1_000
const CLEAR = '\u001b[H\u001b[2J'

/**
 * Writes what `look` finds; with `--watch` again each second until the command is told to end. A document is then one line, and a table stands on
 * a cleared terminal.
 */
export async function show<T>(
  given: Given,
  host: Host,
  look: () => Promise<T>,
  draw: (found: T) => string,
  document: (found: T) => unknown = (found) => found,
): Promise<number> {
  const isJson = given.switches.has('json')
  if (!given.switches.has('watch')) {
    const found = await look()
    host.out.write(isJson ? toJson(document(found)) : draw(found))
    return EXIT_CODES.done.code
  }
  for (;;) {
    if (host.isUnread?.() === true) return EXIT_CODES.done.code
    const found = host.signal.aborted ? undefined : await unlessAborted(look(), host.signal)
    if (found === undefined) return EXIT_CODES.done.code
    if (isJson) host.out.write(`${JSON.stringify(JSON.parse(toJson(document(found))))}\n`)
    else host.out.write(`${host.out.isTTY === true ? CLEAR : ''}${draw(found)}\n`)
    await pause(LOOK_MS, host.signal)
  }
}

/** Undefined where the command is told to end before there is an answer. */
export function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  answer.catch(() => undefined) // nobody may wait for it any more
  const ended = new Promise<undefined>((resolve) => {
    const end = (): void => resolve(undefined)
    signal.addEventListener('abort', end, { once: true })
    void answer.finally(() => signal.removeEventListener('abort', end)).catch(() => undefined)
  })
  return Promise.race([answer, ended])
}

/** Ends early when the command is told to end. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
  })
}

/** A table for people, with what there is beside it. */
export function listText(
  host: Host,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  none: string,
  page: Pick<Page<unknown>, 'cursor'> = {},
): string {
  if (rows.length === 0) return `${none}\n`
  const paint = painter(host.out, host.env)
  const text = table(head, rows, host.out, (cell, column, row) => {
    if (row === undefined) return paint('dim', cell)
    return column === 1 ? paint(colourOf(row[1] ?? ''), cell) : cell
  })
  return page.cursor === undefined ? text : `${text}${paint('dim', `more: --cursor ${quoted(page.cursor)}`)}\n`
}

/** As a shell takes it. */
export const quoted = (text: string): string =>
  /^[\w:./@+-]+$/.test(text) ? text : `'${plainText(text).replaceAll("'", `'\\''`)}'`

const BAD = new Set(['failed', 'dead', 'abandoned', 'stale'])
const GOOD = new Set(['completed', 'succeeded', 'ready', 'busy'])

const colourOf = (state: string): 'red' | 'green' | 'yellow' =>
  BAD.has(state) ? 'red' : GOOD.has(state) ? 'green' : 'yellow'

/** How long ago it was, or nothing. */
export const ago = (at: Date | undefined, host: Host): string =>
  at === undefined ? '-' : duration(host.now() - at.getTime())

/** A time of an option: how long ago, or a date. */
export function timeOf(text: string | undefined, flag: string, host: Host): Date | undefined {
  if (text === undefined) return undefined
  const [, count, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? []
  const at =
    count === undefined ? Date.parse(text) : host.now() - Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS]
  if (Number.isFinite(at)) return new Date(at)
  throw invalid(`${flag}: expected a time such as 30m or 2026-11-30T12:00:00Z, got ${JSON.stringify(text)}`)
}

const UNITS_MS = Object.freeze({ ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 })

/** What is said of each of several ids, and the exit code of the first that went wrong. */
export interface Answers {
  readonly code: number
  readonly rows: readonly { readonly id: string; readonly done: boolean; readonly error?: GraflowError }[]
}

/** Does the same to each of several ids, one by one; one that goes wrong keeps no other from it. @throws what is no GraflowError */
export async function eachOf(ids: readonly string[], act: (id: string) => Promise<boolean>): Promise<Answers> {
  const rows: Answers['rows'][number][] = []
  let code: number = EXIT_CODES.done.code
  for (const id of ids) {
    try {
      rows.push({ id, done: await act(id) })
    } catch (error) {
      if (!(error instanceof GraflowError) || error.code === 'REDIS_UNAVAILABLE') throw error
      rows.push({ id, done: false, error })
      if (code === EXIT_CODES.done.code) code = ERROR_CODES[error.code].exitCode
    }
  }
  return { code, rows }
}

/** Writes what was done, and what not with its reason. */
export function tell({ code, rows }: Answers, given: Given, host: Host, did: string, not: string): number {
  if (given.switches.has('json')) host.out.write(toJson({ items: rows }))
  for (const { id, done, error } of rows) {
    if (error !== undefined) host.err.write(`${plainText(`${id}: ${error.message}`)}\n`)
    else if (!given.switches.has('json')) host.out.write(`${plainText(`${id}: ${done ? did : not}`)}\n`)
  }
  return code
}

/** How queues stand in tables. */
export const QUEUE_HEAD = ['QUEUE', 'STATE', 'READY', 'DELAYED', 'RUNNING', 'OLDEST', 'WORKERS']

export const queueRow = ({
  name,
  isPaused,
  ready,
  delayed,
  running,
  oldestMs,
  workers,
}: QueueSummary): readonly string[] => [
  name,
  isPaused ? 'paused' : 'open',
  ...[ready, delayed, running].map(String),
  oldestMs === undefined ? '-' : duration(oldestMs),
  String(workers),
]
