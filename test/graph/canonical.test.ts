import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { runInNewContext } from 'node:vm'
import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { canonicalBytes, canonicalText, graphHash } from '../../lib/graph/canonical.js'
import type { Graph } from '../../lib/graph/graph.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { parseGraph } from '../../lib/graph/validate.js'
import { thrown } from '../support/captured-errors.js'
import { compiled } from '../support/compiled.js'
import { FLOWS } from './everything.js'

interface Vector {
  readonly hash: string
  readonly text: string
  readonly graph: unknown
}
const root = join(__dirname, '../..')
const vectors: Readonly<Record<keyof typeof FLOWS, Vector>> = JSON.parse(
  readFileSync(join(__dirname, 'vectors.json'), 'utf8'),
)
const names = Object.keys(FLOWS) as (keyof typeof FLOWS)[]

/** The canonical text takes any data; graphs are what it is for. */
const text = (value: unknown): string => canonicalText(value as Graph)

describe('the canonical bytes', () => {
  it('L10: are those of the vectors, which never change', () => {
    expect(Object.keys(vectors)).toEqual(names)
    for (const name of names) {
      const graph = graphOf(FLOWS[name])
      expect(JSON.parse(JSON.stringify(graph))).toEqual(vectors[name].graph)
      expect(canonicalText(graph)).toBe(vectors[name].text)
      expect(graphHash(graph)).toBe(vectors[name].hash)
      expect(createHash('sha256').update(vectors[name].text, 'utf8').digest('hex')).toBe(vectors[name].hash)
      expect(graphHash(parseGraph(vectors[name].graph))).toBe(vectors[name].hash)
    }
  })

  it('L10: give one hash in two processes and two directories', () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'graflow-hash-'))
    const program = relative(root, compiled(join(root, 'test/graph/print-hashes.ts')))
    try {
      // the second process runs in another directory and sees the sources under another path
      symlinkSync(root, join(elsewhere, 'copy'))
      const print = (cwd: string, path: string): unknown =>
        JSON.parse(
          execFileSync(process.execPath, ['--preserve-symlinks-main', join(path, program)], { cwd, encoding: 'utf8' }),
        )
      const expected = Object.fromEntries(names.map((name) => [name, vectors[name].hash]))
      expect(print(root, root)).toEqual(expected)
      expect(print(elsewhere, join(elsewhere, 'copy'))).toEqual(expected)
    } finally {
      rmSync(elsewhere, { recursive: true })
    }
  })

  it('are UTF-8, without a mark in front', () => {
    const bytes = canonicalBytes(graphOf(FLOWS.everything))
    expect(Buffer.from(bytes).toString('utf8')).toBe(vectors.everything.text)
    expect(bytes[0]).toBe('{'.charCodeAt(0))
  })

  it('follow RFC 8785: keys by UTF-16 units, numbers and escapes as ECMAScript writes them', () => {
    // the example of RFC 8785, section 3.2.3
    const sorted = text({ '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 })
    expect(Object.values(JSON.parse(sorted) as object)).toHaveLength(7)
    expect(sorted).toBe('{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}')
    // section 3.2.2
    expect(text([333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001])).toBe(
      '[333333333.3333333,1e+30,4.5,0.002,1e-27]',
    )
    expect(text('\u20ac$\u000f\nA\'B"\\\\"/\u2028')).toBe('"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u2028"')
  })

  it('are those of the package canonicalize, for all data', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const withoutMinusZero: unknown = JSON.parse(JSON.stringify(value))
        expect(text(withoutMinusZero)).toBe(canonicalize(withoutMinusZero))
      }),
    )
  })

  it('do not depend on the order in which keys were written', () => {
    expect(text({ b: { d: 1, c: 2 }, a: [] })).toBe(text({ a: [], b: { c: 2, d: 1 } }))
  })
})

describe('what cannot be carried', () => {
  class Point {
    readonly x = 1
  }
  const cycle: { self?: unknown } = {}
  cycle.self = { inner: [cycle] }
  const hole: unknown[] = [1]
  hole[2] = 3

  const refused: readonly [value: unknown, path: string, got: string][] = [
    [{ root: { steps: [1, { options: { name: () => 1 } }] } }, 'root.steps[1].options.name', 'the function name'],
    [{ root: [() => 1] }, 'root[0]', 'a function'],
    [{ tasks: { 'fetch-user': { queue: Symbol('q') } } }, 'tasks["fetch-user"].queue', 'a symbol'],
    [{ a: [undefined] }, 'a[0]', 'undefined'],
    [{ a: undefined }, 'a', 'undefined'],
    [{ a: Number.NaN }, 'a', 'NaN'],
    [{ a: Number.POSITIVE_INFINITY }, 'a', 'Infinity'],
    [{ a: Number.NEGATIVE_INFINITY }, 'a', '-Infinity'],
    [{ a: -0 }, 'a', '-0'],
    [{ a: 1n }, 'a', '1n'],
    [{ a: new Point() }, 'a', 'an instance of Point'],
    [{ a: new Date(0) }, 'a', 'an instance of Date'],
    [{ a: new Map() }, 'a', 'an instance of Map'],
    [{ a: new Uint8Array(1) }, 'a', 'an instance of Uint8Array'],
    [{ a: Object.create({ inherited: 1 }) }, 'a', 'an object with a prototype'],
    [{ a: new (class List extends Array {})() }, 'a', 'an instance of List'],
    [cycle, 'self.inner[0]', 'a reference to something around it'],
    [{ a: 'x\ud800y' }, 'a', 'text with a lone surrogate'],
    [{ a: '\udc00' }, 'a', 'text with a lone surrogate'],
    [{ a: { '\ud800': 1 } }, 'a', 'a record with a key that has a lone surrogate'],
    [{ a: hole }, 'a[1]', 'a hole in a list'],
    [{ a: Object.assign([1], { extra: 1 }) }, 'a', 'a list with named properties'],
    [{ a: { [Symbol('s')]: 1 } }, 'a', 'a record with the key Symbol(s)'],
    [
      {
        get a(): number {
          throw new Error('a getter was called')
        },
      },
      'a',
      'a getter or setter',
    ],
    [Object.defineProperty({}, 'a', { value: 1, enumerable: false }), 'a', 'a hidden property'],
    [{ a: Object(1) }, 'a', 'an instance of Number'],
    [() => 1, '', 'a function'],
  ]

  it.each(refused)('L11: is NOT_SERIALISABLE and names the place (%#)', (value, path, got) => {
    const error = thrown(() => text(value))
    expect(error.code).toBe('NOT_SERIALISABLE')
    expect(error.details).toEqual({ path, got })
    expect(error.message).toContain(path === '' ? 'a graph must be plain data' : `${path} must be plain data`)
  })

  it('is nothing that only looks so: pairs of surrogates, data of another realm, one object in two places', () => {
    const shared = { x: ['😀'] }
    const foreign: unknown = runInNewContext('({ list: [{ a: 1 }] })')
    expect(
      text({ one: shared, two: [shared, shared], foreign, bare: Object.assign(Object.create(null), { b: true }) }),
    ).toBe('{"bare":{"b":true},"foreign":{"list":[{"a":1}]},"one":{"x":["😀"]},"two":[{"x":["😀"]},{"x":["😀"]}]}')
  })

  it('is too deep a nesting, also when the depth comes from sharing', () => {
    let deep: unknown = 1
    for (let level = 0; level < 100_000; level += 1) deep = [deep]
    expect(thrown(() => text(deep)).details['got']).toBe('more than 400 levels inside one another')
    const list: unknown[] = [[]]
    for (let level = 0; level < 1_000; level += 1) list.push([list.at(-1)])
    expect(thrown(() => text(list)).code).toBe('NOT_SERIALISABLE')
  })
})

describe('graphHash', () => {
  it('is 64 lower-case hex digits, computed once for a graph', () => {
    let reads = 0
    const counted = new Proxy(graphOf(FLOWS.everything), {
      ownKeys: (graph) => {
        reads += 1
        return Reflect.ownKeys(graph)
      },
    })
    expect(graphHash(counted)).toBe(vectors.everything.hash)
    const once = reads
    expect(graphHash(counted)).toBe(vectors.everything.hash)
    expect([once > 0, reads]).toEqual([true, once])
  })
})
