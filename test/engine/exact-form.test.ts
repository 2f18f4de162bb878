/** A sender may refuse an answer by the JSON Schema of its wait only where the schema itself would. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type } from 'arktype'
import { z } from 'zod'
import { isSaidByForm } from '../../lib/engine/exact-form.js'

const EXACT: Readonly<Record<string, StandardSchemaV1>> = {
  'an object': z.object({ ok: z.boolean(), by: z.string().min(1), n: z.number().int().max(9).optional() }),
  'a strict object': z.strictObject({ a: z.literal('x') }),
  'a list': z.array(z.union([z.string(), z.null()])).min(1),
  'a tuple': z.tuple([z.string(), z.enum(['a', 'b'])]),
  'a record': z.record(z.string(), z.number()),
  'a default': z.object({ n: z.number().default(1) }),
  'a refinement': z.string().refine((text) => text !== 'no'),
  'a plain pattern': z.string().regex(/^a+$/),
}

const OTHER: Readonly<Record<string, StandardSchemaV1>> = {
  coercion: z.object({ n: z.coerce.number() }),
  'a preprocessed value': z.preprocess(Number, z.number()),
  'a trimmed text': z.string().trim().max(3),
  'lower case before a pattern': z.string().toLowerCase().regex(/^a+$/),
  'a pattern with flags': z.string().regex(/^a+$/i),
  'a fallback': z.object({ n: z.number().catch(1) }),
  'a transformation': z.array(z.string().transform((text) => text.length)),
  'a pipe': z.string().pipe(z.string().min(2)),
  'another library': type({ n: 'number' }),
}

describe('the JSON Schema of an answer', () => {
  it.each(Object.keys(EXACT))('refuses nothing that the schema takes, of %s', (name) => {
    expect(isSaidByForm(EXACT[name] as StandardSchemaV1)).toBe(true)
  })

  it.each(Object.keys(OTHER))('may refuse what the schema takes, of %s', (name) => {
    expect(isSaidByForm(OTHER[name] as StandardSchemaV1)).toBe(false)
  })
})
