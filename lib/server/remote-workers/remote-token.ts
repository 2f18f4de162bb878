/**
 * What a worker gets with a task and gives back with its result: which branch it is, the store's token for it, and what must be known of the start when
 * it ends. All of it travels, so that any server can take the result, under a signature, so that no worker can make one up: the store knows the token of a
 * grant, but not the path, the task or the counts beside it. Hides the layout: the worker takes it for a text.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Backend } from '../../backend/backend.js'
import { describe } from '../../describe.js'
import { GraflowError } from '../../errors.js'
import { type Clock, elapsedMs, type NewId } from '../../time.js'

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

/** One that came back. */
export type ReadToken = RemoteToken & {
  /** Whether a server of this store gave it out. */
  readonly isSigned: boolean
}

/** Of this layout; a server that meets another one says so. */
const VERSION = 2
const LONGEST = 8_192
const SIGNATURE_BYTES = 16
/** The document with the secret under which all servers of the store sign; how long it is taken for what it was. */
const COLLECTION = 'worker-tokens'
const SECRET = 'secret'
const FRESH_MS = 60_000
const MOST_TRIES = 20

export interface RemoteTokensOptions {
  readonly store: Pick<Backend, 'inspect' | 'writeDocuments'>
  readonly clock: Clock
  readonly newId: NewId
}

/** Makes and reads tokens, all servers of a store alike. One a server. */
export class RemoteTokens {
  readonly #options: RemoteTokensOptions
  #known: { readonly secret: Promise<Uint8Array>; readonly at: number } | undefined

  constructor(options: RemoteTokensOptions) {
    this.#options = options
  }

  /** The text for a worker: letters, digits, `-` and `_`. */
  async encode(start: RemoteToken): Promise<string> {
    const { gid, index, token, graph, task, path, eventIndex, label, errors, losses, startedAt } = start
    const fields = [VERSION, gid, index, token, graph, task, path, eventIndex, label ?? null, errors, losses, startedAt]
    const bytes = Buffer.from(JSON.stringify(fields))
    return Buffer.concat([signatureOf(await this.#secret(), bytes), bytes]).toString('base64url')
  }

  /**
   * In order. One that has the form of a token and is signed by no server of the store was given out before the store was emptied, or made up: nobody
   * holds it.
   * @throws GraflowError INVALID_OPTION for a text that is no token
   */
  async decode(texts: readonly string[]): Promise<readonly ReadToken[]> {
    const read = texts.map(partsOf)
    const signedWith = (secret: Uint8Array): readonly boolean[] =>
      read.map(({ signature, bytes }) => timingSafeEqual(signature, signatureOf(secret, bytes)))
    if (read.length === 0) return []
    const known = signedWith(await this.#secret())
    // the secret of a store that was lost is another one
    const signed = known.includes(false) ? signedWith(await this.#secret(true)) : known
    return read.map(({ start }, i) => ({ ...start, isSigned: signed[i] === true }))
  }

  #secret(isNow = false): Promise<Uint8Array> {
    const now = elapsedMs(this.#options.clock)
    if (isNow || this.#known === undefined || now - this.#known.at > FRESH_MS) {
      const secret = this.#read()
      this.#known = { secret, at: now }
      secret.catch(() => {
        this.#known = undefined
      })
    }
    return this.#known.secret
  }

  /** The first who needs it makes it. */
  async #read(): Promise<Uint8Array> {
    const { store, newId } = this.#options
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const { revision, documents } = await store.inspect.documents(COLLECTION, [SECRET])
      if (documents[0] !== undefined) return documents[0]
      const bytes = createHash('sha256').update(`${newId()} ${newId()}`).digest()
      const write = { collection: COLLECTION, nonce: newId(), ifRevision: revision, remove: [] }
      // also in a full store: it is small, and without it no worker could report
      await store.writeDocuments({ ...write, put: [{ name: SECRET, bytes }], isFreeing: true })
    }
    throw new GraflowError('INTERNAL', `expected to keep a secret within ${MOST_TRIES} tries`)
  }
}

const signatureOf = (secret: Uint8Array, bytes: Uint8Array): Buffer =>
  createHmac('sha256', secret).update(bytes).digest().subarray(0, SIGNATURE_BYTES)

/** @throws GraflowError INVALID_OPTION */
function partsOf(text: string): { readonly start: RemoteToken; readonly signature: Buffer; readonly bytes: Buffer } {
  const all = text.length > LONGEST ? Buffer.alloc(0) : Buffer.from(text, 'base64url')
  const [signature, bytes] = [all.subarray(0, SIGNATURE_BYTES), all.subarray(SIGNATURE_BYTES)]
  const fields = fieldsOf(bytes)
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
  ) {
    const start = {
      gid,
      index,
      token,
      graph,
      task,
      path,
      eventIndex,
      label: label ?? undefined,
      errors,
      losses,
      startedAt,
    }
    return { start, signature, bytes }
  }
  throw unknownToken(text)
}

/** Why nobody holds a token that is not signed. */
export const NOT_SIGNED = 'no server of this store gave this token out, or the store was emptied since'

const unknownToken = (text: string): GraflowError =>
  new GraflowError('INVALID_OPTION', `token: expected the token that came with a task, got ${describe(text)}`, {
    details: { option: 'token' },
  })

function fieldsOf(bytes: Buffer): readonly unknown[] {
  try {
    const parsed: unknown = JSON.parse(bytes.toString())
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
