/**
 * When the branches of one settled range were started, how long each took, and where: for people, who look at a run afterwards. Hides the layout: 4 bytes a
 * branch and 6 bytes a range, 8 where the range is one branch, so that a store may keep them beside the outcomes. Stores pass the bytes on unread.
 *
 * Lower bytes first: u16 flags (4 bits) and tag of the worker (12 bits), u32 the first start (the last 32 bits of its milliseconds since the epoch); with
 * NAMED the name of the worker (a byte of length before it); with INDEXED u32 count and u32 indexes; of each branch u16 from the first start to its own
 * (left out of a single one) and u16 duration, `shortOf` both; with COUNTED a byte of errors and one of losses each.
 */

const NAMED = 1
const INDEXED = 2
const COUNTED = 4
const HEAD = 6
const TAGS = 0x1000
const MOST_NAME_BYTES = 128
const RANGE = 2 ** 32
/** In place of a duration: the branch was not started. */
const NOT_STARTED = 0xffff

/** What a worker knows of the branches of a range when it settles them. The arrays run in parallel. */
export interface RangeTimes {
  readonly workerId: string
  /** Whether its name is to stand in the bytes: once a group will do, since its tag stands in all. */
  readonly isNamed: boolean
  /** In milliseconds by a clock that never steps; below 0 for a branch that was not started. */
  readonly starts: readonly number[]
  /** When all of them were over, by the same clock. */
  readonly end: number
  /** The same moment in milliseconds since the epoch. */
  readonly endAt: number
  /** Starts before that ended in an error, and those that were lost; undefined where all are 0. */
  readonly counts?: { readonly errors: ArrayLike<number>; readonly losses: ArrayLike<number> }
  /** Where some of the range do not end by it. */
  readonly indexes?: Uint32Array
}

/** One branch's last start. */
export interface BranchTime {
  readonly index: number
  /** The last 32 bits of its milliseconds since the epoch, by the clock of its worker. Ask `nearest`. */
  readonly start: number
  /** Milliseconds, to four digits. */
  readonly durationMs: number
  /** Starts before that ended in an error, and those that were lost with their workers. */
  readonly errors: number
  readonly losses: number
}

/** What is read of a range. */
export interface ReadTimes {
  readonly tag: number
  /** The name of the worker with this tag, where it stands here. */
  readonly name: string | undefined
  readonly branches: readonly BranchTime[]
}

/** The bytes for a range; undefined where none of it was started. */
export function encodeTimes({
  workerId,
  isNamed,
  starts,
  end,
  endAt,
  counts,
  indexes,
}: RangeTimes): Uint8Array | undefined {
  let first = end
  let isAnyStarted = false
  for (const start of starts) {
    if (start < 0) continue
    isAnyStarted = true
    if (start < first) first = start
  }
  if (!isAnyStarted) return undefined
  const name = isNamed ? Buffer.from(workerId).subarray(0, MOST_NAME_BYTES) : undefined
  const count = starts.length
  const named = name === undefined ? 0 : 1 + name.length
  const indexed = indexes === undefined ? 0 : 4 + 4 * count
  const times = count === 1 ? 2 : 4 * count
  const bytes = new Uint8Array(HEAD + named + indexed + times + (counts === undefined ? 0 : 2 * count))
  const flags = (named > 0 ? NAMED : 0) | (indexed > 0 ? INDEXED : 0) | (counts === undefined ? 0 : COUNTED)
  put16(bytes, 0, flags | (tagOf(workerId) << 4))
  put32(bytes, 2, modulo(endAt - (end - first)))
  let at = HEAD
  if (name !== undefined) {
    bytes[at] = name.length
    bytes.set(name, at + 1)
    at += named
  }
  if (indexes !== undefined) {
    put32(bytes, at, count)
    for (let i = 0; i < count; i++) put32(bytes, at + 4 + i * 4, indexes[i] ?? 0)
    at += indexed
  }
  for (let i = 0; i < count; i++) {
    const start = starts[i] as number // i is below the count
    if (count > 1) {
      put16(bytes, at, start < 0 ? 0 : shortOf(start - first))
      at += 2
    }
    put16(bytes, at, start < 0 ? NOT_STARTED : shortOf(end - start))
    at += 2
  }
  for (let i = 0; counts !== undefined && i < count; i++) {
    bytes[at++] = counts.errors[i] ?? 0
    bytes[at++] = counts.losses[i] ?? 0
  }
  return bytes
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
}

function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, value)
  put16(bytes, at + 2, value >>> 16)
}

/**
 * What `encodeTimes` made of a range. Undefined for other bytes, and where they name no indexes and are of more or fewer branches.
 * @param indexes of the branches that ended by the range, in its order
 */
export function decodeTimes(bytes: Uint8Array, indexes: ArrayLike<number>): ReadTimes | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  try {
    return readTimes(view, indexes)
  } catch {
    return undefined // cut off, or written by a release that has another layout
  }
}

function readTimes(view: Buffer, ended: ArrayLike<number>): ReadTimes | undefined {
  const head = view.readUInt16LE(0)
  const base = view.readUInt32LE(2)
  let at = HEAD
  let name: string | undefined
  if ((head & NAMED) !== 0) {
    const length = view.readUInt8(at)
    name = view.toString('utf8', at + 1, at + 1 + length)
    at += 1 + length
  }
  let indexes = ended
  if ((head & INDEXED) !== 0) {
    const count = view.readUInt32LE(at)
    if (at + 4 + count * 4 > view.length) return undefined
    indexes = Array.from({ length: count }, (_, i) => view.readUInt32LE(at + 4 + i * 4))
    at += 4 + count * 4
  }
  const count = indexes.length
  const perBranch = count === 1 ? 2 : 4
  const countsAt = at + perBranch * count
  const hasCounts = (head & COUNTED) !== 0
  if (view.length !== countsAt + (hasCounts ? 2 * count : 0)) return undefined
  const branches: BranchTime[] = []
  for (let i = 0; i < count; i++) {
    const from = at + i * perBranch
    const duration = view.readUInt16LE(from + perBranch - 2)
    if (duration === NOT_STARTED) continue
    branches.push({
      index: indexes[i] ?? 0,
      start: modulo(base + (count === 1 ? 0 : longOf(view.readUInt16LE(from)))),
      durationMs: longOf(duration),
      errors: hasCounts ? view.readUInt8(countsAt + i * 2) : 0,
      losses: hasCounts ? view.readUInt8(countsAt + i * 2 + 1) : 0,
    })
  }
  return { tag: head >>> 4, name, branches }
}

/** The moment with these last 32 bits that is nearest to another: within 24 days of it. Both in milliseconds since the epoch. */
export function nearest(low: number, to: number): number {
  const off = modulo(low - to)
  return to + (off < RANGE / 2 ? off : off - RANGE)
}

const modulo = (ms: number): number => ((ms % RANGE) + RANGE) % RANGE

const tags = new Map<string, number>()

/** 12 bits of a hash of its name: two workers of a group rarely share one. */
function tagOf(workerId: string): number {
  let tag = tags.get(workerId)
  if (tag === undefined) {
    let hash = 0x811c9dc5
    for (let i = 0; i < workerId.length; i++) hash = Math.imul(hash ^ workerId.charCodeAt(i), 0x01000193) >>> 0
    tag = (hash ^ (hash >>> 12) ^ (hash >>> 24)) % TAGS
    if (tags.size >= TAGS) tags.clear()
    tags.set(workerId, tag)
  }
  return tag
}

const MANTISSA = 12
const LEAST_ROUNDED = 2 ** MANTISSA
const MOST = (LEAST_ROUNDED - 1) * 2 ** 14

/** Milliseconds in 16 bits: exact below 4 096, then to four digits; up to 18 hours. */
function shortOf(ms: number): number {
  if (ms < LEAST_ROUNDED) return ms < 0 ? 0 : ms
  const value = Math.min(ms, MOST)
  const exponent = Math.floor(Math.log2(value)) - MANTISSA + 1
  return (exponent << MANTISSA) | Math.floor(value / 2 ** exponent)
}

const longOf = (short: number): number => (short & (LEAST_ROUNDED - 1)) * 2 ** (short >>> MANTISSA)
