/**
 * Requests that a fuzzer sends: made from an OpenAPI document by a seeded generator, so that a route that is added is tried without a word here.
 * About a third are what the document asks for, the others are that with something wrong in it.
 */

/** A request as bytes go out. */
export interface FuzzRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer | undefined
}

/** A number in [0, 1), the same for the same seed. */
export type Random = () => number

/** mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly additionalProperties?: Schema | boolean
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly minimum?: number
  readonly maximum?: number
  readonly example?: unknown
  readonly examples?: readonly unknown[]
}

interface Parameter {
  readonly name: string
  readonly in: string
  readonly schema?: Schema
  readonly example?: unknown
}

interface Operation {
  readonly method: string
  readonly path: string
  readonly parameters: readonly Parameter[]
  readonly body: Schema | undefined
}

/** As far as it is read. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, any>>>>
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> }
}

const ODD_TEXTS = [
  ...[
    '',
    ' ',
    'a'.repeat(300),
    'x'.repeat(5_000),
    '\u0000',
    '\u202e',
    '😀',
    'ä',
    "'; DROP",
    '<script>',
    '../..',
    '{}',
    '[]',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'null',
    'undefined',
    'NaN',
    '-1',
    '0',
    '1e309',
    '9007199254740993',
    '%',
    '%00',
  ],
  ...['a:k', 'a:o1', 'x\r\ny: z', 'a,b', '*', '?', '[a-z]', '\\', '{graflow}:runs'],
]
const ODD_VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1.5, 1e308, -0, 2 ** 53, 2 ** 31, [], {}, [[]], [null], { a: 1 }],
  ...[
    { ['__proto__']: { a: 1 } },
    { constructor: 1 },
    { length: 1e9 },
    { then: 1 },
    { toJSON: 1 },
    '2026-13-45T99:00:00Z',
  ],
]

/** Makes requests. */
export class Fuzzer {
  readonly #document: OpenApi
  readonly #operations: readonly Operation[]
  readonly #random: Random
  readonly #ids: readonly string[]
  readonly #hints: Readonly<Record<string, readonly unknown[]>>

  /**
   * @param ids of things that there are, or were
   * @param hints values that make sense, by the name of a property or parameter
   */
  constructor(
    document: OpenApi,
    random: Random,
    ids: readonly string[],
    hints: Readonly<Record<string, readonly unknown[]>>,
  ) {
    this.#hints = hints
    this.#document = document
    this.#random = random
    this.#ids = ids
    this.#operations = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => ({
        ...{ method: method.toUpperCase(), path, parameters: operation.parameters ?? [] },
        body: operation.requestBody?.content?.['application/json']?.schema,
      })),
    )
  }

  next(): FuzzRequest {
    const operation = this.#pick(this.#operations)
    const isOdd = this.#chance(0.65)
    const method =
      isOdd && this.#chance(0.05)
        ? this.#pick(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'])
        : operation.method
    const path = this.#path(operation, isOdd)
    const body = this.#body(operation, isOdd)
    return { method, path, headers: this.#headers(operation, body !== undefined, isOdd), body }
  }

  /** Bytes that may be no HTTP at all. */
  raw(): Buffer {
    const { method, path, headers, body = '' } = this.next()
    const lines = [`${method} ${path} HTTP/1.1`, 'host: localhost', `content-length: ${Buffer.byteLength(body)}`]
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
    const bytes = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(body)])
    const faults = Math.floor(this.#random() * 6)
    for (let i = 0; i < faults; i += 1)
      bytes[Math.floor(this.#random() * bytes.length)] = Math.floor(this.#random() * 256)
    return this.#chance(0.3) ? bytes.subarray(0, Math.floor(this.#random() * bytes.length)) : bytes
  }

  #chance(share: number): boolean {
    return this.#random() < share
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)] as T // none is empty
  }

  #path({ path, parameters }: Operation, isOdd: boolean): string {
    const filled = path.replaceAll(/\{([^}]+)\}/g, () => {
      const text = isOdd && this.#chance(0.4) ? this.#pick(ODD_TEXTS) : this.#pick(this.#ids)
      return isOdd && this.#chance(0.1) ? text.replaceAll(/[^\x21-\x7e]|[?#]/g, '%') || '%' : encodeURIComponent(text)
    })
    const query = parameters
      .filter((one) => one.in === 'query' && this.#chance(0.4))
      .flatMap(({ name, schema, example }) => {
        const value =
          isOdd && this.#chance(0.5) ? this.#pick(ODD_TEXTS) : (example ?? this.#hinted(name, schema ?? {}, 0))
        // nobody waits here for long
        const text = name === 'wait' || /wait/i.test(name) ? '20' : typeof value === 'string' ? value : textOf(value)
        const pair = `${encodeURIComponent(name)}=${encodeURIComponent(text)}`
        return isOdd && this.#chance(0.1) ? [pair, pair] : [pair]
      })
    if (isOdd && this.#chance(0.05)) query.push(this.#pick(['%', 'a', '=', '&', '__proto__=1', 'x[]=1', '%00=%00']))
    return query.length === 0 ? filled : `${filled}?${query.join('&')}`
  }

  #headers({ parameters }: Operation, hasBody: boolean, isOdd: boolean): Readonly<Record<string, string>> {
    const headers: Record<string, string> = {}
    if (hasBody) headers['content-type'] = 'application/json'
    for (const { name, in: place } of parameters) {
      if (place === 'header' && this.#chance(0.4))
        headers[name.toLowerCase()] = isOdd ? headerOf(this.#pick(ODD_TEXTS)) : 'a'
    }
    if (!isOdd) return headers
    if (this.#chance(0.1))
      headers['content-type'] = this.#pick([
        'text/plain',
        '',
        'application/json; charset=utf-16',
        'multipart/form-data',
        'a/b/c',
      ])
    if (this.#chance(0.05))
      headers['last-event-id'] = headerOf(this.#pick([...ODD_TEXTS, '0-0', '99999999999999999999-1']))
    if (this.#chance(0.05)) headers['accept'] = this.#pick(['text/html', '*/*', 'application/xml', ''])
    if (this.#chance(0.03)) headers['content-encoding'] = 'gzip'
    if (this.#chance(0.03)) headers['host'] = this.#pick(['localhost:1', '127.0.0.1', '[::1]', 'evil.example'])
    if (this.#chance(0.03)) headers['x-api-key'] = headerOf(this.#pick(ODD_TEXTS))
    return headers
  }

  #body({ body, method }: Operation, isOdd: boolean): string | Buffer | undefined {
    if (body === undefined && !(isOdd && method !== 'GET' && this.#chance(0.1))) return undefined
    const value = this.#value(body ?? {}, 0)
    if (!isOdd) return JSON.stringify(value)
    if (this.#chance(0.1)) return this.#broken(textOf(value))
    return textOf(this.#mutated(value, 0))
  }

  #broken(json: string): string | Buffer {
    switch (Math.floor(this.#random() * 6)) {
      case 0:
        return json.slice(0, Math.floor(this.#random() * json.length))
      case 1:
        return `${'['.repeat(2_000)}${']'.repeat(2_000)}`
      case 2:
        return Buffer.from([0xff, 0xfe, 0x7b, 0x7d])
      case 3:
        return ''
      case 4:
        return `[${Array.from({ length: 20_000 }, () => '1').join(',')}]`
      default:
        return `{"a":${json},"a":${json}}`
    }
  }

  #mutated(value: unknown, depth: number): unknown {
    if (this.#chance(0.2)) return this.#chance(0.5) ? this.#pick(ODD_TEXTS) : this.#pick(ODD_VALUES)
    if (Array.isArray(value)) {
      const items = value.map((item: unknown) => this.#mutated(item, depth + 1))
      return this.#chance(0.1) ? [...items, ...items, ...items] : items
    }
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value)
      .filter(() => !this.#chance(0.1))
      .map(([key, item]) => [this.#chance(0.03) ? this.#pick(ODD_TEXTS) : key, this.#mutated(item, depth + 1)])
    if (this.#chance(0.1)) entries.push([this.#pick(ODD_TEXTS), this.#pick(ODD_VALUES)])
    return Object.fromEntries(entries)
  }

  #hinted(name: string, schema: Schema, depth: number): unknown {
    const hints = Object.hasOwn(this.#hints, name) ? this.#hints[name] : undefined
    return hints !== undefined && this.#chance(0.8) ? this.#pick(hints) : this.#value(schema, depth)
  }

  /** A value that the schema allows, as far as it says so. */
  #value(schema: Schema, depth: number): unknown {
    const { $ref: ref } = schema
    if (ref !== undefined)
      return this.#value(this.#document.components?.schemas?.[ref.split('/').at(-1) ?? ''] ?? {}, depth + 1)
    if (schema.const !== undefined) return schema.const
    if (schema.enum !== undefined) return this.#pick(schema.enum)
    const examples = [...(schema.examples ?? []), ...(schema.example === undefined ? [] : [schema.example])]
    if (examples.length > 0 && this.#chance(0.7)) return this.#pick(examples)
    const choices = schema.anyOf ?? schema.oneOf
    if (choices !== undefined && choices.length > 0) return this.#value(this.#pick(choices), depth + 1)
    if (schema.allOf !== undefined)
      return Object.assign(
        {},
        ...schema.allOf.map((one) => this.#value(one, depth + 1)).filter((one) => typeof one === 'object'),
      )
    return this.#ofType(schema, depth)
  }

  #ofType(schema: Schema, depth: number): unknown {
    const type =
      typeof schema.type === 'string' ? schema.type : schema.type === undefined ? undefined : this.#pick(schema.type)
    switch (type) {
      case 'string':
        return this.#chance(0.7) ? this.#pick(this.#ids) : this.#pick(ODD_TEXTS)
      case 'integer':
      case 'number': {
        const least = schema.minimum ?? 0
        const most = Math.min(schema.maximum ?? least + 100, least + 1_000)
        return least + Math.floor(this.#random() * (most - least + 1))
      }
      case 'boolean':
        return this.#chance(0.5)
      case 'null':
        return null
      case 'array':
        if (depth > 6) return []
        return Array.from({ length: Math.floor(this.#random() * 4) }, () => this.#value(schema.items ?? {}, depth + 1))
      default:
        return depth > 6 ? {} : this.#object(schema, depth)
    }
  }

  #object({ properties, required = [], type }: Schema, depth: number): unknown {
    if (properties === undefined)
      return type === 'object' ? { a: 1 } : this.#pick([...ODD_VALUES, ...this.#ids, 3, [1, 2, 3]])
    const entries = Object.entries(properties)
      .filter(([name]) => required.includes(name) || this.#chance(0.3))
      .map(([name, one]) => [name, name === 'wait' ? 20 : this.#hinted(name, one, depth + 1)])
    return Object.fromEntries(entries)
  }
}

/** As JSON; of what JSON has no form for, nothing. */
const textOf = (value: unknown): string => {
  const text: unknown = JSON.stringify(value)
  return typeof text === 'string' ? text : ''
}

/** What a header can carry. */
const headerOf = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '').slice(0, 4_000)
