/** A note of progress as every store keeps it: two doubles, fence and time in milliseconds since the epoch; u16, the length of the path; path; value. */

export interface StoredNote {
  readonly fence: number
  /** By the store's clock. */
  readonly at: number
  readonly path: string
  readonly value: Uint8Array
}

const HEAD_BYTES = 18

export function noteOf({ fence, at, path, value }: StoredNote): Uint8Array {
  const place = Buffer.from(path)
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeDoubleLE(fence)
  head.writeDoubleLE(at, 8)
  head.writeUInt16LE(place.length, 16)
  return Buffer.concat([head, place, value])
}

/** Undefined where the bytes are none. */
export function readNote(bytes: Uint8Array): StoredNote | undefined {
  if (bytes.length < HEAD_BYTES) return undefined
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = HEAD_BYTES + view.readUInt16LE(16)
  return {
    ...{ fence: view.readDoubleLE(0), at: view.readDoubleLE(8) },
    path: view.toString('utf8', HEAD_BYTES, end),
    value: view.subarray(end),
  }
}
