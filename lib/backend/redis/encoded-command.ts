/**
 * A command whose bytes are made here, in one piece, rather than by the library, argument by argument: a script has forty arguments, for
 * which the library takes 15 µs and this 2, and it leaves no pieces of text behind. All else of a command, its reply and its errors, is the
 * library's.
 */
import type { Writable } from 'node:stream'
import { Command } from 'ioredis'

export type CommandArgument = string | number | Uint8Array

/** A command of the words in `head`, the first of which is its name, and then `args`. The reply comes as bytes. */
export class EncodedCommand extends Command {
  readonly #pieces: readonly Uint8Array[]
  readonly #last: Buffer

  constructor(head: readonly CommandArgument[], args: readonly CommandArgument[]) {
    super(String(head[0]), [], { replyEncoding: null })
    const { pieces, last } = encodeCommand(head, args)
    this.#pieces = pieces
    this.#last = last
  }

  /** The library writes what comes last. */
  override toWritable(stream: object): Buffer {
    for (const piece of this.#pieces) (stream as Writable).write(piece)
    return this.#last
  }
}

/** In the order in which they are written. */
export interface EncodedPieces {
  readonly pieces: readonly Uint8Array[]
  readonly last: Buffer
}

/**
 * An array of bulk strings, as the Redis serialisation protocol (RESP 2) has requests, in pieces: large arrays of bytes are not copied, and
 * must not change any more.
 */
export function encodeCommand(head: readonly CommandArgument[], args: readonly CommandArgument[]): EncodedPieces {
  at = 0
  makeRoom(MOST_HEAD_BYTES)
  putCount(ASTERISK, head.length + args.length)
  const pieces: Uint8Array[] = []
  for (const arg of head) putArgument(arg, pieces)
  for (const arg of args) putArgument(arg, pieces)
  return { pieces, last: takePiece() }
}

function takePiece(): Buffer {
  const bytes = Buffer.allocUnsafe(at)
  scratch.copy(bytes, 0, 0, at)
  if (scratch.length > MOST_KEPT_BYTES) scratch = Buffer.allocUnsafeSlow(FIRST_BYTES)
  at = 0
  return bytes
}

const ASTERISK = 0x2a
const DOLLAR = 0x24
const CR = 0x0d
const LF = 0x0a
const ZERO = 0x30

/** Of a mark, a number, and two ends of line. */
const MOST_HEAD_BYTES = 32
/** Below this a loop is faster than a call out of JavaScript. */
const SHORT_TEXT = 32
const FIRST_BYTES = 16 * 1024
/** From so many bytes on an array is written by itself: a copy of it would cost more than another piece. */
const LEAST_APART_BYTES = 16 * 1024
/** A buffer that grew larger than this is not kept for the next command. */
const MOST_KEPT_BYTES = 1024 * 1024

/** Where a command is put together: one for all, since that takes no turn of the event loop. */
let scratch = Buffer.allocUnsafeSlow(FIRST_BYTES)
let at = 0

function makeRoom(byteLength: number): void {
  if (at + byteLength <= scratch.length) return
  const larger = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, at + byteLength))
  scratch.copy(larger, 0, 0, at)
  scratch = larger
}

function putArgument(arg: CommandArgument, pieces: Uint8Array[]): void {
  if (typeof arg === 'object' && arg.length >= LEAST_APART_BYTES) putApart(arg, pieces)
  else if (typeof arg === 'object') putBytes(arg)
  else putText(typeof arg === 'string' ? arg : String(arg))
}

function putApart(bytes: Uint8Array, pieces: Uint8Array[]): void {
  makeRoom(MOST_HEAD_BYTES)
  putCount(DOLLAR, bytes.length)
  pieces.push(takePiece(), bytes)
  makeRoom(MOST_HEAD_BYTES)
  putEnd()
}

function putBytes(bytes: Uint8Array): void {
  makeRoom(bytes.length + MOST_HEAD_BYTES)
  putCount(DOLLAR, bytes.length)
  scratch.set(bytes, at)
  at += bytes.length
  putEnd()
}

/** Nearly all texts are ASCII: as many bytes as characters. Where that turns out to be wrong, the text is put again. */
function putText(text: string): void {
  const start = at
  makeRoom(text.length * 3 + MOST_HEAD_BYTES) // a character has three bytes at most, half of a pair two
  putCount(DOLLAR, text.length)
  const end = text.length < SHORT_TEXT ? putAscii(text) : at + scratch.write(text, at)
  if (end === at + text.length) {
    at = end
    putEnd()
    return
  }
  at = start
  putCount(DOLLAR, Buffer.byteLength(text))
  at += scratch.write(text, at)
  putEnd()
}

/** Where the text ends, or -1 for one that is not ASCII. */
function putAscii(text: string): number {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return -1
    scratch[at + i] = code
  }
  return at + text.length
}

function putCount(mark: number, count: number): void {
  scratch[at] = mark
  at += 1
  let digits = 1
  for (let rest = count; rest >= 10; rest = Math.floor(rest / 10)) digits += 1
  let rest = count
  for (let i = at + digits - 1; i >= at; i -= 1) {
    scratch[i] = ZERO + (rest % 10)
    rest = Math.floor(rest / 10)
  }
  at += digits
  putEnd()
}

function putEnd(): void {
  scratch[at] = CR
  scratch[at + 1] = LF
  at += 2
}
