/** What the commands for operators take beside the worker's connection: filters, pages, and what an action needs. */
import type { OptionTable } from '../../lib/options.js'
import { CONNECTION_OPTIONS } from './options.js'

const TIME = {
  kind: 'string',
  pattern: /^(\d{1,9}(ms|s|m|h|d)|\d{4}-\d\d-\d\d([T ]\S+)?)$/,
  form: { says: 'how long ago, such as 90s, 30m, 12h or 7d, or a date such as 2026-11-30T12:00:00Z', isSecret: false },
} as const

const LIMIT = {
  kind: 'integer',
  min: 1,
  max: 1_000,
  default: 50,
  flag: 'limit',
  help: 'Lines at most.',
} as const

const CURSOR = {
  kind: 'string',
  flag: 'cursor',
  example: 'CURSOR',
  help: 'Goes on behind an earlier page, or behind an interrupted action: what that one said.',
} as const

const WHY = {
  kind: 'list',
  flag: 'why',
  example: 'signal',
  help: 'Only what waits for this reason; may be given several times.',
} as const

/** `graflow builds`, `graflow workers` and `graflow queues`. */
export const PAGE_COMMAND_OPTIONS = Object.freeze({
  ...CONNECTION_OPTIONS,
  pageLimit: LIMIT,
  pageCursor: CURSOR,
} as const) satisfies OptionTable

/** `graflow waits`. */
export const WAITS_OPTIONS = Object.freeze({
  ...CONNECTION_OPTIONS,
  waitsFor: WHY,
  pageLimit: LIMIT,
  pageCursor: CURSOR,
} as const) satisfies OptionTable

/** `graflow runs`. */
export const RUNS_OPTIONS = Object.freeze({
  ...CONNECTION_OPTIONS,
  runState: {
    kind: 'list',
    flag: 'state',
    example: 'failed',
    help: 'Only runs in one of these states; may be given several times.',
  },
  ofWorkflow: { kind: 'string', flag: 'workflow', example: 'report', help: 'Only runs of the workflow.' },
  withTag: { kind: 'string', flag: 'tag', example: 'nightly', help: 'Only runs that were started with the tag.' },
  ofBuild: { kind: 'string', flag: 'build', example: '2026.11.2', help: 'Only runs that are pinned to the build.' },
  createdSince: { ...TIME, flag: 'since', example: '1h', help: 'Only runs that were created then or later.' },
  createdUntil: { ...TIME, flag: 'until', example: '30m', help: 'Only runs that were created before.' },
  withError: {
    kind: 'string',
    flag: 'error',
    example: 'TIMEOUT',
    help: 'Only runs that ended with an error of this code or name, or with one that it caused.',
  },
  withMessage: {
    kind: 'string',
    flag: 'message',
    example: '"connection refused"',
    help: 'Only runs that ended with an error whose message, or that of a cause, has these words.',
  },
  waitsFor: WHY,
  pageLimit: LIMIT,
  pageCursor: CURSOR,
  at: {
    kind: 'string',
    flag: 'path',
    example: '1/17',
    help: 'Of one run: the step or branch whose input and output are shown.',
  },
  retryFrom: {
    kind: 'string',
    flag: 'from',
    example: '1',
    help: 'With retry: the path of the step or branch from which on all is done again.',
  },
  reason: { kind: 'string', flag: 'reason', example: '"wrong input"', help: 'With cancel: why; the runs say so.' },
} as const) satisfies OptionTable

/** `graflow signal`. */
export const SIGNAL_OPTIONS = Object.freeze({
  ...CONNECTION_OPTIONS,
  data: {
    kind: 'string',
    flag: 'data',
    example: '\'{ "ok": true }\'',
    help: 'What the signal brings, as JSON; @FILE reads it from a file, - from standard input. Without it the signal brings nothing.',
  },
  index: {
    kind: 'integer',
    min: 0,
    flag: 'index',
    example: '3',
    help: 'The number of the item, where each item of an each waits for a signal of its own.',
  },
} as const) satisfies OptionTable

/** `graflow report`. */
export const REPORT_OPTIONS = Object.freeze({
  ...CONNECTION_OPTIONS,
  reportOut: {
    kind: 'string',
    flag: 'out',
    example: 'run.html',
    help: 'The file to write. Without it a file named after the run, or standard output where that is no terminal.',
  },
} as const) satisfies OptionTable

/** `graflow dead`. */
export const DEAD_OPTIONS = Object.freeze({
  ...CONNECTION_OPTIONS,
  ofTask: { kind: 'string', flag: 'task', example: 'inspect', help: 'Only dead letters of the task or workflow.' },
  createdBefore: { ...TIME, flag: 'before', example: '7d', help: 'With purge: only those from before.' },
  pageLimit: LIMIT,
  pageCursor: CURSOR,
} as const) satisfies OptionTable
