/**
 * Finds the ends of Redis's requests and replies (RESP2 and RESP3) in a stream of bytes that comes in any pieces. It looks at lengths
 * only; what is inside stays bytes. Source: the Redis serialization protocol specification.
 */

const CR = 13
const LF = 10

/** Cuts a stream into whole frames: one request or one reply each. */
export class Frames {
  #bytes: Buffer = Buffer.alloc(0)
  /** Up to here `#bytes` were understood. */
  #at = 0
  /** Values that the frame still needs. */
  #open = 1

  /** Takes what came in; gives the frames that are whole now. */
  push(chunk: Buffer): Buffer[] {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    const frames: Buffer[] = []
    while (this.#advance()) {
      frames.push(this.#bytes.subarray(0, this.#at))
      this.#bytes = this.#bytes.subarray(this.#at)
      this.#at = 0
      this.#open = 1
    }
    return frames
  }

  /** Reads values until the frame is whole (true) or the bytes run out. */
  #advance(): boolean {
    while (this.#open > 0) {
      const end = this.#bytes.indexOf(LF, this.#at)
      if (end < 0) return false
      const type = String.fromCharCode(this.#bytes[this.#at] ?? 0)
      const count = Number(this.#bytes.toString('latin1', this.#at + 1, end))
      if ('$!='.includes(type)) {
        const next = end + 1 + (count < 0 ? 0 : count + 2)
        if (next > this.#bytes.length) return false
        this.#at = next
        this.#open -= 1
        continue
      }
      this.#at = end + 1
      this.#open -= 1
      if (count <= 0) continue
      if ('*~>'.includes(type)) this.#open += count
      else if (type === '%') this.#open += 2 * count
      else if (type === '|') this.#open += 2 * count + 1 // attributes stand before the value that they speak of
    }
    return true
  }
}

/** The arguments of a request: an array of bulk strings, or words on a line. */
export function argsOf(request: Buffer): Buffer[] {
  if (request[0] !== '*'.charCodeAt(0)) return request.toString('latin1').trim().split(/\s+/).map(Buffer.from)
  const args: Buffer[] = []
  for (let at = request.indexOf(LF) + 1; at < request.length; ) {
    const end = request.indexOf(LF, at)
    const length = Number(request.toString('latin1', at + 1, request[end - 1] === CR ? end - 1 : end))
    args.push(request.subarray(end + 1, end + 1 + length))
    at = end + 1 + length + 2
  }
  return args
}

/** Whether a frame from the server answers no request. */
export const isPush = (reply: Buffer): boolean => reply[0] === '>'.charCodeAt(0)
