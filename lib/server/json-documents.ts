/** Documents of the store that hold JSON which servers write for each other. */
import type { Document } from '../backend/backend.js'

export const jsonDocument = (name: string, value: unknown): Document => ({
  name,
  bytes: Buffer.from(JSON.stringify(value)),
})

/** What a server wrote, of the type that it says; undefined of a document that is not there, or is none. */
export function jsonIn<T>(bytes: Uint8Array | undefined): T | undefined {
  if (bytes === undefined) return undefined
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as T // as a server wrote it
  } catch {
    return undefined
  }
}
