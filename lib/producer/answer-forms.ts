/**
 * Checks values by the JSON Schema that is kept for others, such as an answer by that of its wait: where the schema itself is not known here but is known
 * to refuse whatever that refuses (exact-form.ts). What JSON Schema leaves open, or says in a form that is not read here, is left to whoever takes them.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { LRUCache } from 'lru-cache'
import { checkPayload } from '../engine/schemas.js'

/** @throws GraflowError INVALID_INPUT */
export async function checkByForm(form: object, payload: unknown, signal: string): Promise<void> {
  const schema = await schemaOfForm(form)
  if (schema !== undefined) await checkPayload(schema, payload, signal)
}

/** Schemas that were read last, by what says them; to read one takes longer than to check by it. */
const read = new LRUCache<string, { readonly schema: StandardSchemaV1 | undefined }>({ max: 100 })

/** What a JSON Schema says without its formats, as a schema that checks; undefined where it cannot be read. */
const schemaOfForm = (form: object): Promise<StandardSchemaV1 | undefined> => schemaOfText(JSON.stringify(form))

/** The same of its text. */
export async function schemaOfText(text: string): Promise<StandardSchemaV1 | undefined> {
  const { fromJSONSchema } = await import('zod') // loaded by those alone who check by one
  const known = read.get(text)
  if (known !== undefined) return known.schema
  let schema: StandardSchemaV1 | undefined
  try {
    schema = fromJSONSchema(withoutFormats(JSON.parse(text)) as Parameters<typeof fromJSONSchema>[0]) // it throws for what it does not read
  } catch {
    schema = undefined // whoever wrote it may be of another release
  }
  read.set(text, { schema })
  return schema
}

/** What the keys of these name are no keywords. */
const NAMED: ReadonlySet<string> = new Set(['properties', 'patternProperties', '$defs', 'definitions'])
/** Their values are data. */
const DATA: ReadonlySet<string> = new Set(['enum', 'const', 'default', 'examples'])

/** Libraries do not agree on formats, such as on what an email address is: only what is said by patterns, lengths and bounds is checked. */
function withoutFormats(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutFormats)
  if (typeof schema !== 'object' || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]: [string, unknown]): [string, unknown][] => {
      if (key === 'format' && typeof value === 'string') return []
      if (DATA.has(key)) return [[key, value]]
      if (NAMED.has(key) && typeof value === 'object' && value !== null)
        return [[key, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutFormats(one)]))]]
      return [[key, withoutFormats(value)]]
    }),
  )
}
