/**
 * JSON Schema as forms need it: which kind of field a value gets, what a form begins with, and what is wrong with what was filled in. Pure. It checks what
 * people get wrong, in plain words; what it does not read is left to the server and the workers, which have the last word.
 */

/** As much of JSON Schema as there are fields for. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly title?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema | boolean
  readonly prefixItems?: readonly Schema[]
  readonly minItems?: number
  readonly maxItems?: number
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly multipleOf?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, Schema>>
  readonly definitions?: Readonly<Record<string, Schema>>
}

/** What is wrong at a place of the value, such as `items.0.id`; '' is all of it. */
export interface Issue {
  readonly path: string
  readonly message: string
}

/** `nullable`: another field, or null. `variants`: one of several. `json`: what has no field. */
export type Kind =
  | 'text'
  | 'number'
  | 'boolean'
  | 'choice'
  | 'constant'
  | 'object'
  | 'list'
  | 'tuple'
  | 'nullable'
  | 'variants'
  | 'json'

/** What a server found wrong, of the problem that it answered. */
export function issuesOfProblem(details: Readonly<Record<string, unknown>>): readonly Issue[] {
  const { issues } = (details['details'] ?? {}) as { readonly issues?: unknown } // of RFC 9457, by our codes
  if (!Array.isArray(issues)) return []
  return (issues as readonly Partial<Issue>[]).flatMap(({ path, message }) =>
    typeof path === 'string' && typeof message === 'string' ? [{ path, message }] : [],
  )
}

const isPlain = (value: unknown): boolean => value === null || ['string', 'number', 'boolean'].includes(typeof value)

/** A schema without references at its top; `root` has what they name. What cannot be found may be anything. */
export function resolved(schema: Schema, root: Schema): Schema {
  let found = schema
  for (let depth = 0; found.$ref !== undefined; depth += 1) {
    const { $ref, ...beside } = found
    const target = depth > 16 ? undefined : targetOf($ref, root)
    if (target === undefined) return beside
    found = { ...target, ...beside }
  }
  if (found.allOf?.length === 1 && found.allOf[0] !== undefined) {
    const { allOf, ...beside } = found
    return resolved({ ...allOf[0], ...beside }, root)
  }
  return found
}

function targetOf(ref: string, root: Schema): Schema | undefined {
  if (ref === '#') return root
  if (!ref.startsWith('#/')) return undefined
  let at: unknown = root
  for (const segment of ref.slice(2).split('/')) {
    const key = decodeURIComponent(segment).replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Readonly<Record<string, unknown>>)[key]
  }
  return typeof at === 'object' && at !== null ? at : undefined
}

const isNull = ({ type, const: only }: Schema): boolean => type === 'null' || only === null
const branchesOf = ({ anyOf, oneOf }: Schema): readonly Schema[] | undefined => anyOf ?? oneOf

/** Of a resolved schema. */
export function kindOf(schema: Schema): Kind {
  if (schema.const !== undefined && isPlain(schema.const)) return 'constant'
  if (schema.enum !== undefined && schema.enum.length > 0 && schema.enum.every(isPlain)) return 'choice'
  const branches = branchesOf(schema)
  if (branches !== undefined) return branches.some(isNull) && branches.length === 2 ? 'nullable' : 'variants'
  if (Array.isArray(schema.type)) {
    if (schema.type.length === 1) return kindOf({ ...schema, type: String(schema.type[0]) })
    return schema.type.length === 2 && schema.type.includes('null') ? 'nullable' : 'json'
  }
  switch (schema.type) {
    case 'string':
      return 'text'
    case 'number':
    case 'integer':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'object':
      return schema.properties === undefined || Object.keys(schema.properties).length === 0 ? 'json' : 'object'
    case 'array':
      if (schema.prefixItems !== undefined) return 'tuple'
      return typeof schema.items === 'object' ? 'list' : 'json'
    default:
      return 'json'
  }
}

/** What a nullable one is when it is not null. */
export function withoutNull(schema: Schema): Schema {
  const { anyOf, oneOf, ...beside } = schema
  const one = (anyOf ?? oneOf)?.find((branch) => !isNull(branch))
  if (one !== undefined) return { ...beside, ...one }
  const types = Array.isArray(schema.type) ? (schema.type as readonly string[]) : []
  return { ...schema, type: types.find((type) => type !== 'null') ?? 'null' }
}

export const variantsOf = (schema: Schema): readonly Schema[] => branchesOf(schema) ?? []

/** What a variant is called: by its title, the constant that tells it from the others, or its type. */
export function nameOfVariant(variant: Schema, root: Schema, number: number): string {
  const schema = resolved(variant, root)
  if (schema.title !== undefined) return schema.title
  const told = Object.entries(schema.properties ?? {}).find(([, one]) => one.const !== undefined)
  if (told !== undefined) return `${told[0]}: ${String(told[1].const)}`
  if (schema.const !== undefined) return typeof schema.const === 'string' ? schema.const : JSON.stringify(schema.const)
  return typeof schema.type === 'string' ? schema.type : `variant ${number + 1}`
}

/** The variant that a value is of: the one that finds least wrong with it. */
export function variantAt(schema: Schema, value: unknown, root: Schema): number {
  if (value === undefined) return 0
  const wrong = variantsOf(schema).map((variant) => issuesOf(variant, value, root).length)
  return Math.max(0, wrong.indexOf(Math.min(...wrong)))
}

/** What a form begins with. What may be left out is left out, but for what has a default. */
export function beginningOf(schema: Schema | undefined, root: Schema | undefined = schema, depth = 0): unknown {
  if (schema === undefined || root === undefined || depth > 16) return undefined
  const one = resolved(schema, root)
  if (one.default !== undefined) return one.default
  switch (kindOf(one)) {
    case 'constant':
      return one.const
    case 'boolean':
      return false
    case 'nullable':
      return null
    case 'list':
      return []
    case 'tuple':
      return (one.prefixItems ?? []).map((item) => beginningOf(item, root, depth + 1) ?? null)
    case 'variants':
      return beginningOf(variantsOf(one)[0], root, depth + 1)
    case 'object':
      return Object.fromEntries(
        Object.entries(one.properties ?? {}).flatMap(([key, property]) => {
          const isNeeded = one.required?.includes(key) === true || resolved(property, root).default !== undefined
          const value = isNeeded ? beginningOf(property, root, depth + 1) : undefined
          return value === undefined ? [] : [[key, value]]
        }),
      )
    default:
      return undefined
  }
}

const MOST_ISSUES = 50
const under = (path: string, key: string | number): string => (path === '' ? String(key) : `${path}.${key}`)

/** What is wrong with a value. */
export function issuesOf(schema: Schema, value: unknown, root: Schema = schema, path = ''): readonly Issue[] {
  const one = resolved(schema, root)
  const say = (message: string): readonly Issue[] => [{ path, message }]
  switch (kindOf(one)) {
    case 'constant':
      return value === one.const ? [] : say(`must be ${JSON.stringify(one.const)}`)
    case 'choice':
      return one.enum?.includes(value) === true
        ? []
        : say(value === undefined ? 'choose one' : 'is none of the choices')
    case 'text':
      return typeof value === 'string' ? textIssues(one, value).flatMap(say) : say(needs(value, 'a text'))
    case 'number':
      return typeof value === 'number' ? numberIssues(one, value).flatMap(say) : say(needs(value, 'a number'))
    case 'boolean':
      return typeof value === 'boolean' ? [] : say(needs(value, 'yes or no'))
    case 'nullable':
      return value === null ? [] : issuesOf(withoutNull(one), value, root, path)
    case 'variants':
      return variantIssues(one, value, root, path)
    case 'list':
    case 'tuple':
      return Array.isArray(value) ? listIssues(one, value, root, path) : say(needs(value, 'a list'))
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
        ? objectIssues(one, value as Readonly<Record<string, unknown>>, root, path) // an object, as was asked
        : say(needs(value, 'an object'))
    case 'json':
      return jsonIssues(one, value).flatMap(say)
  }
}

const needs = (value: unknown, what: string): string =>
  value === undefined || value === null ? 'is needed' : `must be ${what}, got ${JSON.stringify(value).slice(0, 40)}`

function textIssues({ minLength = 0, maxLength, pattern }: Schema, text: string): readonly string[] {
  const { length } = [...text]
  if (length < minLength) return [length === 0 ? 'is needed' : `must have at least ${minLength} letters, got ${length}`]
  if (maxLength !== undefined && length > maxLength) return [`must have at most ${maxLength} letters, got ${length}`]
  return pattern !== undefined && regexOf(pattern)?.test(text) === false ? [`must look like ${pattern}`] : []
}

function regexOf(pattern: string): RegExp | undefined {
  try {
    return new RegExp(pattern, 'u')
  } catch {
    return undefined
  }
}

function numberIssues(schema: Schema, number: number): readonly string[] {
  const { type, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema
  if (!Number.isFinite(number)) return ['must be a number']
  if (type === 'integer' && !Number.isInteger(number)) return [`must be a whole number, got ${number}`]
  if (minimum !== undefined && number < minimum) return [`must be at least ${minimum}, got ${number}`]
  if (maximum !== undefined && number > maximum) return [`must be at most ${maximum}, got ${number}`]
  if (exclusiveMinimum !== undefined && number <= exclusiveMinimum) return [`must be more than ${exclusiveMinimum}`]
  if (exclusiveMaximum !== undefined && number >= exclusiveMaximum) return [`must be less than ${exclusiveMaximum}`]
  const parts = multipleOf === undefined ? 0 : number / multipleOf
  return Math.abs(parts - Math.round(parts)) > 1e-9 ? [`must be a multiple of ${multipleOf ?? ''}`] : []
}

function variantIssues(schema: Schema, value: unknown, root: Schema, path: string): readonly Issue[] {
  let least: readonly Issue[] | undefined
  for (const variant of variantsOf(schema)) {
    const found = issuesOf(variant, value, root, path)
    if (found.length === 0) return []
    if (least === undefined || found.length < least.length) least = found
  }
  return least ?? []
}

function listIssues(schema: Schema, values: readonly unknown[], root: Schema, path: string): readonly Issue[] {
  const { items, prefixItems, minItems = 0, maxItems } = schema
  const found: Issue[] = []
  const least = Math.max(minItems, prefixItems?.length ?? 0)
  if (values.length < least) found.push({ path, message: `needs at least ${least}, got ${values.length}` })
  if (maxItems !== undefined && values.length > maxItems)
    found.push({ path, message: `takes at most ${maxItems}, got ${values.length}` })
  for (const [i, value] of values.entries()) {
    const of = prefixItems?.[i] ?? items
    if (typeof of === 'object' && found.length < MOST_ISSUES) found.push(...issuesOf(of, value, root, under(path, i)))
  }
  return found
}

function objectIssues(
  { properties = {}, required = [], additionalProperties }: Schema,
  value: Readonly<Record<string, unknown>>,
  root: Schema,
  path: string,
): readonly Issue[] {
  const found: Issue[] = []
  for (const [key, property] of Object.entries(properties)) {
    const isThere = Object.hasOwn(value, key) && value[key] !== undefined
    // what has a default is filled in where it is read
    const isNeeded = required.includes(key) && resolved(property, root).default === undefined
    if ((isThere || isNeeded) && found.length < MOST_ISSUES)
      found.push(...issuesOf(property, isThere ? value[key] : undefined, root, under(path, key)))
  }
  if (additionalProperties === false)
    for (const key of Object.keys(value))
      if (!Object.hasOwn(properties, key) && found.length < MOST_ISSUES)
        found.push({ path: under(path, key), message: 'is not known here' })
  return found
}

/** What has no fields is checked by its type alone. */
function jsonIssues({ type }: Schema, value: unknown): readonly string[] {
  if (type === undefined || value === undefined) return type === undefined ? [] : ['is needed']
  const types: readonly string[] = typeof type === 'string' ? [type] : type
  const is = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
  const fits = types.some((one) => one === is || (one === 'integer' && Number.isInteger(value)))
  return fits ? [] : [`must be ${types.join(' or ')}, got ${is}`]
}
