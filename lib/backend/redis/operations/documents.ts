/** Collections of documents, as they lie in Redis: a hash each, with the revision beside the documents. */
import { GraflowError } from '../../../errors.js'
import type { DocumentsAnswer, DocumentsFound, DocumentsRequest } from '../../backend.js'
import { bytesOf, listOf, numberOf, textOf } from '../replies.js'
import type { Store } from '../store.js'
import { unexpectedAnswer, wordOf } from './words.js'

/** The field that counts changes; names of documents have a mark before them. */
const REVISION = '#'
const MARK = '='

/** Changes a collection as a whole, or not at all. */
export async function writeDocuments(store: Store, request: DocumentsRequest): Promise<DocumentsAnswer> {
  const { collection, nonce, ifRevision = '', put, remove, isFreeing = put.length === 0 } = request
  const documents = put.flatMap(({ name, bytes }) => [name, bytes])
  try {
    const args = [collection, nonce, ifRevision, put.length, ...documents, ...remove]
    const reply = await store.shard.call(isFreeing ? 'documents-full' : 'documents', args)
    const [word, revision] = [wordOf(reply), numberOf(listOf(reply)[1])]
    if (word === 'OK') return { status: 'ok', revision }
    if (word === 'CONFLICT') return { status: 'conflict', revision }
    throw unexpectedAnswer('documents', word)
  } catch (error) {
    if (error instanceof GraflowError && error.code === 'BACKPRESSURE') return { status: 'backpressure' }
    throw error
  }
}

/** Documents by their names, at one moment. */
export async function documents(
  { shard, keys }: Store,
  collection: string,
  names: readonly string[],
): Promise<DocumentsFound> {
  const fields = [REVISION, ...names.map((name) => `${MARK}${name}`)]
  const [revision = null, ...found] = listOf(await shard.command('HMGET', keys.documents(collection), ...fields))
  return {
    revision: revision === null ? 0 : Number.parseInt(textOf(revision), 10),
    documents: found.map((one) => (one === null ? undefined : bytesOf(one))),
  }
}

/** Names of all documents of a collection. */
export async function documentNames({ shard, keys }: Store, collection: string): Promise<readonly string[]> {
  const fields = listOf(await shard.command('HKEYS', keys.documents(collection))).map(textOf)
  return fields.filter((field) => field.startsWith(MARK)).map((field) => field.slice(MARK.length))
}
