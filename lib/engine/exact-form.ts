/**
 * Whether a schema refuses whatever its JSON Schema refuses. It does not where it changes a value before it looks at it: JSON Schema has no word for
 * that, and says what comes out. Known of Zod; of other libraries it is not known, so no.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'

/** What is read of a schema of Zod, or of a check of one. */
interface Definition {
  readonly type?: string
  readonly check?: string
  readonly coerce?: boolean
  readonly checks?: readonly unknown[]
  readonly pattern?: RegExp
  readonly [part: string]: unknown
}

/** The types that take a value as it is, and where the schemas inside stand. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  string: [],
  number: [],
  boolean: [],
  null: [],
  any: [],
  unknown: [],
  never: [],
  literal: [],
  enum: [],
  object: ['shape', 'catchall'],
  array: ['element'],
  tuple: ['items', 'rest'],
  record: ['keyType', 'valueType'],
  union: ['options'],
  intersection: ['left', 'right'],
  optional: ['innerType'],
  nullable: ['innerType'],
  nonoptional: ['innerType'],
  readonly: ['innerType'],
  default: ['innerType'],
}

/** Checks that only look. `custom` ones may refuse more, which is no harm. */
const CHECKS: ReadonlySet<string> = new Set([
  ...['min_length', 'max_length', 'length_equals', 'greater_than', 'less_than', 'multiple_of', 'number_format'],
  ...['string_format', 'custom'],
])

export const isSaidByForm = (schema: StandardSchemaV1): boolean => isExact(schema)

/** Whether a schema that its form says refuses what is not there: forms do not tell. */
export function isNeeded(schema: StandardSchemaV1): boolean {
  try {
    const result = schema['~standard'].validate(undefined)
    if (!(result instanceof Promise)) return result.issues !== undefined
    result.catch(() => undefined) // nobody waits for it
  } catch {
    // a check of its own met what it did not expect
  }
  return false
}

function isExact(schema: unknown): boolean {
  const definition = definitionOf(schema)
  const parts = PARTS[definition?.type ?? '']
  if (definition === undefined || parts === undefined || definition.coerce === true) return false
  const { checks = [] } = definition
  return (
    isPlain(definition) && checks.every(isLook) && parts.every((part) => schemasIn(definition[part]).every(isExact))
  )
}

/** A pattern with flags means something else without them, as JSON Schema has it. */
const isPlain = ({ pattern }: Definition): boolean => pattern === undefined || pattern.flags === ''

function isLook(check: unknown): boolean {
  const definition = definitionOf(check)
  return definition?.check !== undefined && CHECKS.has(definition.check) && isPlain(definition)
}

function schemasIn(part: unknown): readonly unknown[] {
  if (part === undefined || part === null) return []
  if (Array.isArray(part)) return part as readonly unknown[]
  return definitionOf(part) === undefined ? Object.values(part) : [part]
}

const definitionOf = (of: unknown): Definition | undefined =>
  (of as { readonly _zod?: { readonly def?: Definition } } | undefined)?._zod?.def
