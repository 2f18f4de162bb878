/** Collections of small documents with names, which any number of processes read and change: each change as a whole, or not at all. */
import type { DocumentsAnswer, DocumentsRequest } from '../backend.js'
import type { KernelState } from './state.js'

/** Changes a collection, if it is as the caller has seen it. The last change, repeated, answers the same. */
export function writeDocuments(state: KernelState, request: DocumentsRequest): DocumentsAnswer {
  const { collection: name, nonce, ifRevision, put, remove } = request
  const known = state.collections.get(name) ?? { revision: 0, nonce: '', documents: new Map<string, Uint8Array>() }
  if (known.nonce === nonce) return { status: 'ok', revision: known.revision }
  if (ifRevision !== undefined && ifRevision !== known.revision) return { status: 'conflict', revision: known.revision }
  const changed = new Map(known.documents)
  for (const document of put) changed.set(document.name, document.bytes)
  for (const gone of remove) changed.delete(gone)
  const more = bytesOf(changed) - bytesOf(known.documents)
  if (more > 0 && state.isFull(more)) return { status: 'backpressure' }
  state.bytes += more
  state.collections.set(name, { revision: known.revision + 1, nonce, documents: changed })
  return { status: 'ok', revision: known.revision + 1 }
}

const bytesOf = (documents: ReadonlyMap<string, Uint8Array>): number =>
  [...documents.values()].reduce((sum, { length }) => sum + length, 0)
