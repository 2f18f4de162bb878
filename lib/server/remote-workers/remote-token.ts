/**
 * What a worker gets with a task and gives back with its result: which branch it is, the store's token for it, and what must be known of the start when
 * it ends. All of it travels, so that any server can take the result. Hides the layout: the worker takes it for a text.
 */
import { describe } from '../../describe.js'
import { GraflowError } from '../../errors.js'

/** A start of a task, as the server that takes its result must know it. */
export interface RemoteToken {
  readonly gid: string
  readonly index: number
  /** The store's. */
  readonly token: string
  /** Hash of the graph that the task stands in. */
  readonly graph: string
  readonly task: string
  /** In the run. */
  readonly path: string
  /** What events call the branch in its group. */
  readonly eventIndex: number
  /** Of its item, where the each labels these. */
  readonly label: string | undefined
  /** Starts before that ended in an error, and those that were lost. */
  readonly errors: number
  readonly losses: number
  /** Milliseconds since the epoch by the clock of the server that gave it out. */
  readonly startedAt: number
}

/** Of this layout; a server that meets another one says so. */
const VERSION = 1
const LONGEST = 8_192

/** The text for a worker: letters, digits, `-` and `_`. */
export const encodeToken = (start: RemoteToken): string => {
  const { gid, index, token, graph, task, path, eventIndex, label, errors, losses, startedAt } = start
  const fields = [VERSION, gid, index, token, graph, task, path, eventIndex, label ?? null, errors, losses, startedAt]
  return Buffer.from(JSON.stringify(fields)).toString('base64url')
}

/** @throws GraflowError INVALID_OPTION for a text that no server has made */
export function decodeToken(text: string): RemoteToken {
  const fields = text.length > LONGEST ? [] : fieldsOf(text)
  const [version, gid, index, token, graph, task, path, eventIndex, label, errors, losses, startedAt] = fields
  if (
    version === VERSION &&
    fields.length === 12 &&
    isText(gid) &&
    isText(token) &&
    isText(graph) &&
    isText(task) &&
    isText(path) &&
    isIndex(index) &&
    isIndex(eventIndex) &&
    (label === null || isText(label)) &&
    isCount(errors) &&
    isCount(losses) &&
    isCount(startedAt)
  )
    return { gid, index, token, graph, task, path, eventIndex, label: label ?? undefined, errors, losses, startedAt }
  throw new GraflowError('INVALID_OPTION', `token: expected the token that came with a task, got ${describe(text)}`, {
    details: { option: 'token' },
  })
}

function fieldsOf(text: string): readonly unknown[] {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    return Array.isArray(parsed) ? parsed : []
  } catch {
    return []
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
/** The store has 32 bits for it. */
const isIndex = (value: unknown): value is number => isCount(value) && value < 2 ** 32

/** The run that the branch is of. */
export const runOf = ({ gid }: Pick<RemoteToken, 'gid'>): string => gid.split('/', 1)[0] ?? gid

/** As events have it. */
export const labelled = ({ label }: Pick<RemoteToken, 'label'>): { readonly label?: string } =>
  label === undefined ? {} : { label }

/** Larger than that of every holder before. */
export const fenceOf = ({ token }: Pick<RemoteToken, 'token'>): number => Number.parseInt(token, 10)
