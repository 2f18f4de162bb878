/**
 * What the layouts have in common: the operations, as calls of scripts that can be sent in one flush, and how to read their
 * replies. Everything else (worker, producer, checks, measurements) is the same code for all.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import type { Packed } from '../../lib/values/packed-items.js'

export const LAYOUT_NAMES = ['packed', 'compact', 'per-branch'] as const
export type LayoutName = (typeof LAYOUT_NAMES)[number]

export type Argument = string | number | Buffer
/** A command with its arguments. */
export type Call = readonly [command: string, ...rest: Argument[]]

/** `{<prefix>:<shard>}` */
export const TAG = '{bench:0}'
export const QUEUE = 'work'
export const BELL = `${TAG}:q:${QUEUE}:bell`
export const MOST_BYTES = 1 << 20

/** What is dispatched. */
export interface Group {
  readonly run: string
  /** Of the branch that dispatches. */
  readonly token: string
  readonly gid: string
  readonly size: number
  readonly inbox: string
}

/** Branches of one group under one token. */
export interface Grant {
  readonly gid: string
  readonly token: string
  readonly count: number
  /** A contiguous range starts here; undefined: look into `indexes`. */
  readonly from: number | undefined
  readonly indexes: readonly number[] | undefined
  /** In the order of the branches. */
  input(position: number): Uint8Array
}

export interface Settled {
  readonly grant: Grant
  /** Every branch succeeded; one result each. */
  readonly results: readonly Uint8Array[]
}

export interface Layout {
  readonly name: LayoutName
  readonly scripts: readonly Script[]
  /** Puts a run there whose root branch is held under the token. */
  openRun(run: string, token: string): Call[]
  /** Opens the group or fills it with items `from` (with) to `to` (without). */
  step(group: Group, inputs: Packed, from: number, to: number): Call
  acquire(session: string, lane: string, nonce: string, max: number): Call
  /** The grants in an answer of acquire; throws unless it is OK. */
  grants(reply: unknown): readonly Grant[]
  settle(session: string, settled: readonly Settled[]): Call
  /** Visits all outcomes of a released group; resolves to how many there were. */
  readOutcomes(
    redis: Redis,
    group: Group,
    visit: (index: number, kind: number, value: Uint8Array) => void,
  ): Promise<number>
  sweep(session: string): Call
}

export const SUCCEEDED = 3

/** One Lua file with the shared prelude before it. */
export class Script {
  readonly source: string
  readonly sha: string

  constructor(path: string, flags: string) {
    const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8')
    this.source = `#!lua${flags === '' ? '' : ` flags=${flags}`}\n${read('prelude.lua')}\n${read(path)}`
    this.sha = createHash('sha1').update(this.source).digest('hex')
  }

  /** KEYS is `T:m` alone: all else has its hash tag. */
  call(...args: readonly Argument[]): Call {
    return ['EVALSHA', this.sha, 1, `${TAG}:m`, ...args]
  }
}

/** Sends calls in one write and resolves to their replies, with bytes as buffers; throws the first error. */
export async function flush(redis: Redis, calls: readonly Call[]): Promise<unknown[]> {
  const pipeline = redis.pipeline()
  for (const [command, ...rest] of calls) pipeline.callBuffer(command, ...rest)
  const replies = (await pipeline.exec()) ?? []
  return replies.map(([error, reply]) => {
    if (error !== null) throw error
    return reply
  })
}

/** A word or number of a reply. */
export const asText = (reply: unknown): string =>
  Buffer.isBuffer(reply) ? reply.toString('latin1') : typeof reply === 'number' ? String(reply) : ''

/** The common data of a group that every grant brings along: about what a real one says (graph hash, node path, names, limits). */
export const SPEC = Buffer.from(
  JSON.stringify({
    graph: 'f'.repeat(64),
    node: '1.0',
    queue: QUEUE,
    requires: [],
    tasks: ['inspect'],
    attempts: 3,
    ms: 0,
  }),
)

export const DIGEST = 'd'.repeat(32)
