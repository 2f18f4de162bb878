/** The record of a run, from the fields of its hash. */
import type { ByHand, DecidedAs, EndState, ListedRun, PurgedGroups, RunRecord } from '../../backend.js'
import { runStateOf } from '../../run-state.js'
import { bytesOf } from '../replies.js'
import { decodeTerms } from './run-terms.js'

type Fields = ReadonlyMap<string, Buffer>

/** Whether the time says what the run is called: nobody drives it since its driver was lost. */
export const isLost = (fields: Fields): boolean => (fields.get('lostAt')?.length ?? 0) > 0 && !fields.has('end')

/** Undefined where there is none. `at`: by the clock of the store. */
export function readRun(runId: string, fields: Fields, at: number): RunRecord | undefined {
  const text = (name: string): string | undefined => fields.get(name)?.toString()
  const time = (name: string): number | undefined => (fields.has(name) ? Number(text(name)) : undefined)
  const createdAt = time('created')
  if (createdAt === undefined) return undefined
  const value = fields.get('value')
  return {
    runId,
    workflow: text('wf'),
    graph: text('graph') ?? '',
    digest: text('dig') ?? '',
    state: stateOf(fields, at),
    createdAt,
    startedAt: time('startedAt'),
    endedAt: time('endedAt'),
    timeoutMs: time('timeout'),
    driver: text('driver') || undefined,
    pausedAt: text('paused') === '1' ? time('pausedAt') : undefined,
    cancelReason: text('reason'),
    retries: time('epoch') ?? 0,
    reopenedBy: reopenedBy(text('again'), text('agains')),
    hasOpener: text('opener') === '1',
    byHand: byHandIn(text('hand') ?? ''),
    build: text('build'),
    tags: linesIn(text('tags') ?? ''),
    terms: decodeTerms(text('terms') ?? ''),
    ...(fields.has('gone') && { purged: purgedIn(text('gone') ?? '') }),
    value: value === undefined || !fields.has('end') ? undefined : bytesOf(value),
  }
}

/** The newest first; an older release keeps the last one only. */
function reopenedBy(last = '', all = ''): readonly string[] {
  const calls = all.split(' ').filter((call) => call !== '')
  return last === '' || calls[0] === last ? calls : [last, ...calls]
}

const linesIn = (text: string): readonly string[] => (text === '' ? [] : text.split('\n'))

/** A line each: when, as what, by which call, and where. */
const byHandIn = (lines: string): readonly ByHand[] =>
  [...lines.matchAll(/^(\d+) (succeeded|failed|skipped) (\S+) (.*)$/gm)].map(([, at, as, nonce = '', path = '']) => ({
    ...{ path, at: Number(at), nonce, as: as as DecidedAs }, // the pattern has no other words
  }))

/** The number of branches, and of those that were withdrawn, then a line for each dispatcher, behind a slash. */
function purgedIn(text: string): PurgedGroups {
  const [counts = '', ...lines] = text.split('\n')
  const [branches = 0, withdrawn = 0] = counts.split(' ').map(Number)
  return { branches, withdrawn, dispatchers: lines.map((line) => line.slice(1)) }
}

function stateOf(fields: Fields, at: number): RunRecord['state'] {
  const text = (name: string): string => fields.get(name)?.toString() ?? ''
  const lostAt = text('lostAt')
  const facts = {
    end: fields.has('end') ? (END_STATES[text('end')] ?? 'failed') : undefined,
    isAbandoned: text('aband') === '1',
    isPaused: text('paused') === '1',
    isWaiting: text('parked') === '1',
    isDriven: text('startedAt') !== '' && text('driver') !== '',
    lostAt: lostAt === '' ? undefined : Number(lostAt),
  }
  return runStateOf(facts, at)
}

export const END_STATES: Readonly<Record<string, EndState>> = {
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
}

/** The same without what it ended with, of which nothing was read. */
export function listedRun(runId: string, fields: Fields, at: number): Omit<ListedRun, 'position'> | undefined {
  const record = readRun(runId, fields, at)
  if (record === undefined) return undefined
  const { value: _, byHand: __, reopenedBy: ___, purged: ____, ...listed } = record
  return listed
}
