/**
 * A value as a tree that people open piece by piece. JSON has no dates, large integers, maps, sets and bytes: the server says where they were, by JSON pointer, and
 * the tree shows them as what they are. Pure; a tree of any size costs what is open of it.
 */

/** What JSON has no form for. */
export type TypeName = 'Date' | 'bigint' | 'Map' | 'Set' | 'bytes' | 'Error' | 'undefined' | 'number' | (string & {})
/** By JSON pointer; '' is the value itself. */
export type Types = Readonly<Record<string, TypeName>>

export interface TreeItem {
  /** JSON pointer. */
  readonly pointer: string
  /** Undefined at the root. */
  readonly key: string | undefined
  readonly value: unknown
  /** What it is: of a plain value its JSON type. */
  readonly type: TypeName | 'string' | 'boolean' | 'null' | 'array' | 'object'
  /** How many are inside; undefined where it cannot be opened. */
  readonly size: number | undefined
  /** One line that stands for it. */
  readonly summary: string
}

const MOST_SUMMARY = 80
/** Of a text; the tree has the rest by a click. */
export const MOST_TEXT = 400

export const itemOf = (value: unknown, types: Types, pointer = '', key?: string): TreeItem => {
  const type = types[pointer] ?? plainType(value)
  const size = sizeOf(value, type)
  return { pointer, key, value, type, size, summary: summaryOf(value, type, types, pointer) }
}

function plainType(value: unknown): TreeItem['type'] {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  const type = typeof value
  return type === 'object' || type === 'string' || type === 'number' || type === 'boolean' ? type : 'undefined'
}

function sizeOf(value: unknown, type: TreeItem['type']): number | undefined {
  if (typeof value !== 'object' || value === null || type === 'bytes') return undefined
  return Array.isArray(value) ? value.length : Object.keys(value).length
}

const escaped = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1')

/** The items inside, from a number on. */
export function childrenOf(
  { value, pointer, type }: TreeItem,
  types: Types,
  from = 0,
  most = 100,
): readonly TreeItem[] {
  if (typeof value !== 'object' || value === null) return []
  const under = (key: string | number): string => `${pointer}/${escaped(String(key))}`
  if (Array.isArray(value)) {
    const items = value as readonly unknown[]
    return items.slice(from, from + most).map((one, i) => {
      const at = from + i
      // a map whose keys are no texts is a list of pairs
      if (type === 'Map' && Array.isArray(one) && one.length === 2) {
        const [key, held] = one as unknown as readonly [unknown, unknown]
        return itemOf(held, types, `${under(at)}/1`, short(line(key, types, `${under(at)}/0`), 40))
      }
      return itemOf(one, types, under(at), type === 'Set' ? '' : String(at))
    })
  }
  return Object.entries(value)
    .slice(from, from + most)
    .map(([key, one]) => itemOf(one, types, under(key), key))
}

/** What stands behind the key while it is closed. */
function summaryOf(value: unknown, type: TreeItem['type'], types: Types, pointer: string): string {
  switch (type) {
    case 'string':
      return JSON.stringify(short(String(value), MOST_TEXT))
    case 'Date':
    case 'bigint':
      return type === 'bigint' ? `${String(value)}n` : String(value)
    case 'bytes':
      return `${bytesIn(String(value))} bytes`
    case 'Error':
      return errorLine(value)
    case 'undefined':
      return 'undefined'
    default:
      return typeof value === 'object' && value !== null
        ? short(line(value, types, pointer), MOST_SUMMARY)
        : String(value)
  }
}

function errorLine(value: unknown): string {
  const { name, message } = (value ?? {}) as { readonly name?: unknown; readonly message?: unknown }
  const textOf = (part: unknown, otherwise: string): string => (typeof part === 'string' ? part : otherwise)
  return short(`${textOf(name, 'Error')}: ${textOf(message, '')}`, MOST_TEXT)
}

/** A value in one line, deep things left out. */
function line(value: unknown, types: Types, pointer: string, depth = 0): string {
  const type = types[pointer] ?? plainType(value)
  if (typeof value !== 'object' || value === null || type === 'bytes' || type === 'Error')
    return type === 'string' ? JSON.stringify(short(String(value), 40)) : summaryOf(value, type, types, pointer)
  const isList = Array.isArray(value)
  const entries: readonly (readonly [string, unknown])[] = Object.entries(value)
  const tag = type === 'Map' || type === 'Set' ? `${type}(${entries.length}) ` : ''
  if (entries.length === 0) return `${tag}${isList ? '[]' : '{}'}`
  if (depth > 1) return `${tag}${isList ? `[… ${entries.length}]` : `{… ${entries.length}}`}`
  const parts = entries
    .slice(0, 6)
    .map(([key, one]) => `${isList ? '' : `${key}: `}${line(one, types, `${pointer}/${escaped(key)}`, depth + 1)}`)
  const more = entries.length > 6 ? ', …' : ''
  return isList ? `${tag}[${parts.join(', ')}${more}]` : `${tag}{ ${parts.join(', ')}${more} }`
}

const short = (text: string, most: number): string => {
  const signs = [...text.slice(0, most + 1)]
  return text.length <= most ? text : `${signs.slice(0, most).join('')}…`
}

const bytesIn = (base64: string): number => Math.floor((base64.length * 3) / 4) - (/=*$/.exec(base64)?.[0].length ?? 0)
