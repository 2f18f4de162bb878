/** Forms from JSON Schema: which field a value gets, what a form begins with, and what is wrong with what was filled in. */
import { z } from 'zod'
import {
  beginningOf,
  issuesOf,
  kindOf,
  nameOfVariant,
  resolved,
  type Schema,
  variantAt,
} from '../../dashboard/parts/schema.js'

/** As the server gives it: of what the schema takes. */
const of = (schema: z.ZodType): Schema => z.toJSONSchema(schema, { io: 'input' }) as Schema // of which a form reads a part

const order = of(
  z.object({
    id: z.string().min(1),
    kind: z.enum(['gift', 'sale']),
    lines: z.array(z.object({ sku: z.string(), count: z.number().int().min(1).max(9).default(1) })).min(1),
    address: z.object({ city: z.string() }).optional(),
    note: z.string().nullable(),
    express: z.boolean(),
    paid: z.discriminatedUnion('by', [
      z.object({ by: z.literal('card'), number: z.string().regex(/^\d{4}$/) }),
      z.object({ by: z.literal('cash') }),
    ]),
    weight: z.number().gt(0).multipleOf(0.5).optional(),
  }),
)

const saidOf = (schema: Schema, value: unknown): readonly string[] =>
  issuesOf(schema, value).map(({ path, message }) => `${path}: ${message}`)

describe('a form from a schema', () => {
  it('begins with what is needed and known, and leaves out what may be left out', () => {
    expect(beginningOf(order)).toEqual({ lines: [], note: null, express: false, paid: { by: 'card' } })
    expect(beginningOf(of(z.object({ a: z.number().default(3), b: z.string().default('x').optional() })))).toEqual({
      a: 3,
      b: 'x',
    })
    expect(beginningOf(of(z.tuple([z.boolean(), z.string()])))).toEqual([false, null])
    expect(beginningOf(undefined)).toBeUndefined()
  })

  it('says in plain words what is wrong, and at which path', () => {
    expect(saidOf(order, beginningOf(order))).toEqual([
      'id: is needed',
      'kind: choose one',
      'lines: needs at least 1, got 0',
      'paid.number: is needed',
    ])
    const filled = {
      ...{ id: '', kind: 'loan', lines: [{ sku: 'a', count: 10 }, { count: 1.5 }], address: {}, note: 7 },
      ...{ express: true, paid: { by: 'card', number: '12' }, weight: 0.7 },
    }
    expect(saidOf(order, filled)).toEqual([
      'id: is needed',
      'kind: is none of the choices',
      'lines.0.count: must be at most 9, got 10',
      'lines.1.sku: is needed',
      'lines.1.count: must be a whole number, got 1.5',
      'address.city: is needed',
      'note: must be a text, got 7',
      'paid.number: must look like ^\\d{4}$',
      'weight: must be a multiple of 0.5',
    ])
    const good = { id: 'A', kind: 'gift', lines: [{ sku: 'a' }], note: null, express: true, paid: { by: 'cash' } }
    expect(saidOf(order, good)).toEqual([])
    expect(saidOf(of(z.strictObject({ a: z.number() })), { a: 1, b: 2 })).toEqual(['b: is not known here'])
  })

  it('knows the kinds of fields, also behind references, and the variant that a value is of', () => {
    interface Tree {
      readonly name: string
      readonly inside: readonly Tree[]
    }
    const tree: z.ZodType<Tree> = z.object({ name: z.string(), inside: z.array(z.lazy(() => tree)) })
    const schema = of(z.object({ root: tree }))
    expect(beginningOf(schema)).toEqual({ root: { inside: [] } })
    expect(saidOf(schema, { root: { name: 'a', inside: [{ name: 'b', inside: [{}] }] } })).toEqual([
      'root.inside.0.inside.0.name: is needed',
      'root.inside.0.inside.0.inside: is needed',
    ])
    const kinds = Object.entries(order.properties ?? {}).map(([key, one]) => `${key} ${kindOf(resolved(one, order))}`)
    expect(kinds.join(', ')).toBe(
      'id text, kind choice, lines list, address object, note nullable, express boolean, paid variants, weight number',
    )
    const paid = order.properties?.['paid'] ?? {}
    expect([variantAt(paid, { by: 'cash' }, order), variantAt(paid, undefined, order)]).toEqual([1, 0])
    expect(nameOfVariant(paid.oneOf?.[1] ?? paid.anyOf?.[1] ?? {}, order, 1)).toBe('by: cash')
    expect(kindOf({ type: 'object', additionalProperties: { type: 'number' } })).toBe('json')
    expect(issuesOf({ $ref: '#/$defs/lost' }, 5)).toEqual([])
    expect(saidOf({ type: ['string', 'number', 'null'] }, true)).toEqual([
      ': must be string or number or null, got boolean',
    ])
  })
})
