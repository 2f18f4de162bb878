/** Collections of small documents with names, which any number of processes read and change: each change as a whole, or not at all. */
import type { DocumentsAnswer, DocumentsRequest } from '../backend.js'
import type { KernelState } from './state.js'

/** Changes a collection, if it is as the caller has seen it. The last change, repeated, answers the same. */
export function writeDocuments(state: KernelState, request: DocumentsRequest): DocumentsAnswer {
  const { collection: name, nonce, ifRevision, put, remove, isFreeing = put.length === 0 } = request
  const known = state.collections.get(name) ?? { revision: 0, nonce: '', documents: new Map<string, Uint8Array>() }
  if (known.nonce === nonce) return { status: 'ok', revision: known.revision }
  if (ifRevision !== undefined && ifRevision !== known.revision) return { status: 'conflict', revision: known.revision }
  const { documents } = known
  // only what is changed is looked at: others may be many
  const changed = new Map<string, Uint8Array | undefined>(put.map((one) => [one.name, one.bytes]))
  for (const gone of remove) changed.set(gone, undefined)
  let more = 0
  for (const [key, bytes] of changed) more += (bytes?.length ?? 0) - (documents.get(key)?.length ?? 0)
  if (more > 0 && !isFreeing && state.isFull(more)) return { status: 'backpressure' }
  state.bytes += more
  for (const [key, bytes] of changed)
    if (bytes === undefined) documents.delete(key)
    else documents.set(key, bytes)
  state.collections.set(name, { revision: known.revision + 1, nonce, documents })
  return { status: 'ok', revision: known.revision + 1 }
}
