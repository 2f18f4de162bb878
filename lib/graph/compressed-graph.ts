/**
 * The form in which a graph travels: zlib around its canonical bytes, under their sha-256. Hides the compression, and trusts
 * nothing that comes back: bounded before it is inflated, hashed before it is parsed, and compared with its own canonical form
 * after, so that one graph has one byte string.
 */
import { createHash } from 'node:crypto'
import { deflate, Inflate, type ZStream } from 'pako'
import { GraflowError } from '../errors.js'
import { canonicalBytes, canonicalText, hashOf, MAX_JSON_DEPTH, rememberHash } from './canonical.js'
import type { Graph } from './graph.js'
import { GRAPH_LIMITS, type GraphLimits } from './limits.js'
import { parseGraph } from './validate.js'

export interface CompressedGraph {
  /** The graph's name: 64 lower-case hex digits. */
  readonly hash: string
  /** zlib (RFC 1950) of the canonical bytes. Shared with later callers: not to be written to. */
  readonly bytes: Uint8Array
}

/** A zlib window is 32 KiB; larger pieces only make the last one of a bomb larger. */
const PIECE_BYTES = 64 * 1024

const packed = new WeakMap<Graph, CompressedGraph>()

/**
 * The graph as it is stored, made once for each graph object.
 * Errors: NOT_SERIALISABLE with the path; LIMIT_EXCEEDED when it is larger than a peer would load.
 */
export function compressGraph(graph: Graph, limits: GraphLimits = GRAPH_LIMITS): CompressedGraph {
  let pack = packed.get(graph)
  if (pack === undefined) {
    const canonical = canonicalBytes(graph)
    within(canonical.length, limits.canonicalBytes, 'canonicalBytes', 'before compression')
    const hash = hashOf(canonical)
    pack = Object.freeze({ hash, bytes: deflate(canonical) })
    rememberHash(graph, hash)
    packed.set(graph, pack)
  }
  within(pack.bytes.length, limits.compressedBytes, 'compressedBytes', 'compressed')
  return pack
}

/**
 * The graph in bytes that were stored under `hash`. Never inflates more than `limits.canonicalBytes`.
 * Errors: INTEGRITY; `details.reason` says which promise is broken, `details.hash` the name that was asked for; of what is no graph,
 * `details.path` the place instead.
 */
export function decompressGraph(bytes: Uint8Array, hash: string, limits: GraphLimits = GRAPH_LIMITS): Graph {
  if (!isGraphHash(hash)) throw broken('hash', 'a graph’s name is 64 lower-case hex digits', hash)
  const canonical = inflateNamed(bytes, hash, limits)
  const text = decodeText(canonical, hash)
  const graph = parseGraph(decodeJson(text, canonical, hash), limits)
  // a key that stands twice, another order, a space: JSON.parse does not tell, the second writing does
  if (canonicalText(graph) !== text)
    throw broken('canonical', 'the bytes are not the canonical form of their graph', hash)
  rememberHash(graph, hash)
  return graph
}

/** Whether a text can be the name of a graph. A caller that makes a storage key from a name that came from outside asks first. */
export function isGraphHash(hash: unknown): hash is string {
  return typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash)
}

/**
 * The bytes that have this hash. Inflates twice: what is too large, or not what its name says, is found out before any of it is kept.
 */
function inflateNamed(bytes: Uint8Array, hash: string, limits: GraphLimits): Uint8Array {
  if (bytes.length > limits.compressedBytes) {
    throw broken('compressed size', `at most ${limits.compressedBytes} bytes are allowed, got ${bytes.length}`, hash)
  }
  // RFC 1950: the flag says that a preset dictionary is needed; no graph has one
  if (((bytes[1] ?? 0) & 0x20) !== 0) throw broken('dictionary', 'the bytes ask for a preset dictionary', hash)
  const digest = createHash('sha256')
  let size = 0
  inflatePieces(bytes, hash, (piece) => {
    size += piece.length
    if (size > limits.canonicalBytes)
      throw broken('size', `it inflates to more than ${limits.canonicalBytes} bytes`, hash)
    digest.update(piece)
  })
  if (digest.digest('hex') !== hash)
    throw broken('mismatch', 'the bytes have another sha-256 than their name says', hash)
  const canonical = new Uint8Array(size)
  let offset = 0
  inflatePieces(bytes, hash, (piece) => {
    canonical.set(piece, offset)
    offset += piece.length
  })
  return canonical
}

function inflatePieces(bytes: Uint8Array, hash: string, take: (piece: Uint8Array) => void): void {
  let stream: ZStream | undefined
  // a window size that is written out turns off the guess at gzip
  const inflator = new Inflate({ windowBits: 15, chunkSize: PIECE_BYTES })
  inflator.onStart = (opened) => {
    stream = opened
  }
  inflator.onData = take
  inflator.onEnd = () => {}
  const isWhole = inflator.push(bytes, true) && inflator.ended
  if (!isWhole) throw broken('zlib', `the bytes are no whole zlib stream: ${inflator.msg || 'it ends too early'}`, hash)
  const read = stream?.total_in ?? 0
  if (read !== bytes.length) throw broken('trailing', `the stream ends at byte ${read} of ${bytes.length}`, hash)
}

function decodeText(canonical: Uint8Array, hash: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(canonical)
  } catch (cause) {
    throw broken('utf-8', 'the bytes are not UTF-8', hash, cause)
  }
}

function decodeJson(text: string, canonical: Uint8Array, hash: string): unknown {
  if (deepestLevel(canonical) > MAX_JSON_DEPTH) throw broken('depth', `it has more than ${MAX_JSON_DEPTH} levels`, hash)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw broken('json', 'the bytes are not JSON', hash, cause)
  }
}

/** Counts brackets outside of strings: a parser fed with 64 MiB of `[` would take many times that. */
function deepestLevel(json: Uint8Array): number {
  let level = 0
  let deepest = 0
  let inString = false
  for (let index = 0; index < json.length; index += 1) {
    const byte = json[index]
    if (inString) {
      if (byte === 0x5c) index += 1
      else if (byte === 0x22) inString = false
    } else if (byte === 0x22) inString = true
    else if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, (level += 1))
    else if (byte === 0x5d || byte === 0x7d) level -= 1
  }
  return deepest
}

function within(size: number, limit: number, name: keyof GraphLimits, state: string): void {
  if (size <= limit) return
  const message = `a graph may have ${limit} bytes ${state}, got ${size}: pass data as input and not as structure, or use each()`
  throw new GraflowError('LIMIT_EXCEEDED', message, { details: { limit: name, max: limit, got: size } })
}

function broken(reason: string, message: string, hash: unknown, cause?: unknown): GraflowError {
  const name = typeof hash === 'string' ? hash.slice(0, 64) : typeof hash
  return new GraflowError('INTEGRITY', `stored graph ${JSON.stringify(name)}: ${message}`, {
    details: { reason, hash: name },
    ...(cause !== undefined && { cause }),
  })
}
