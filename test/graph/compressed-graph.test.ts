import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { deflateRawSync, deflateSync, gzipSync, inflateSync } from 'node:zlib'
import fc from 'fast-check'
import { canonicalBytes, canonicalText, graphHash } from '../../lib/graph/canonical.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { GRAPH_LIMITS } from '../../lib/graph/limits.js'
import { isGraphHash, compressGraph, decompressGraph } from '../../lib/graph/compressed-graph.js'
import { parseGraph } from '../../lib/graph/validate.js'
import { thrown } from '../support/captured-errors.js'
import { compiled } from '../support/compiled.js'
import { EVERYTHING, L3 } from './everything.js'

const graph = graphOf(EVERYTHING)
const { bytes, hash } = compressGraph(graph)

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex')
/** Bytes that keep every promise but those of a graph: whole zlib, right name. */
const stored = (data: string | Uint8Array): [Uint8Array, string] => [deflateSync(data), sha256(data)]
const refusal = (packed: Uint8Array, name: string): string => {
  const error = thrown(() => decompressGraph(packed, name))
  expect(error.code).toBe('INTEGRITY')
  return String(error.details['reason'])
}

describe('packGraph', () => {
  it('gives zlib that any zlib reads, under the hash of what is in it, once for a graph', () => {
    expect(Buffer.from(inflateSync(bytes)).toString()).toBe(canonicalText(graph))
    expect(hash).toBe(graphHash(graph))
    expect(compressGraph(graph)).toBe(compressGraph(graph))
  })

  it('FT-Q9: refuses what a peer would not load, also when it was packed before', () => {
    const tooSmall = { ...GRAPH_LIMITS, compressedBytes: 20 }
    const error = thrown(() => compressGraph(graph, tooSmall))
    expect([error.code, error.details]).toEqual([
      'LIMIT_EXCEEDED',
      { limit: 'compressedBytes', max: 20, got: bytes.length },
    ])
    const fresh = parseGraph(JSON.parse(canonicalText(graph)))
    expect(thrown(() => compressGraph(fresh, { ...GRAPH_LIMITS, canonicalBytes: 100 })).details['limit']).toBe(
      'canonicalBytes',
    )
  })
})

describe('unpackGraph', () => {
  it('gives the graph again, frozen, and takes the bytes of any zlib', () => {
    expect(decompressGraph(bytes, hash)).toEqual(graph)
    expect(Object.isFrozen(decompressGraph(bytes, hash).root)).toBe(true)
    for (const level of [0, 1, 9])
      expect(decompressGraph(deflateSync(canonicalBytes(graph), { level }), hash)).toEqual(graph)
    expect(decompressGraph(Buffer.from(bytes), hash)).toEqual(graph)
  })

  it('FT-Q5: stops a zip bomb early: 8 MiB that inflate to 8 GiB cost less than 80 MiB', () => {
    const output = execFileSync(process.execPath, [compiled(join(__dirname, 'zip-bomb.ts')), '--measure'], {
      encoding: 'utf8',
    })
    const measured = JSON.parse(output) as { bomb: number; reason: string; costMiB: number }
    expect(measured.bomb).toBeGreaterThan(8_000_000)
    expect(measured.reason).toBe('size')
    expect(measured.costMiB).toBeLessThan(80)
  })

  it('stops at the limit to the byte', () => {
    const size = canonicalBytes(graph).length
    expect(decompressGraph(bytes, hash, { ...GRAPH_LIMITS, canonicalBytes: size })).toEqual(graph)
    expect(
      thrown(() => decompressGraph(bytes, hash, { ...GRAPH_LIMITS, canonicalBytes: size - 1 })).details['reason'],
    ).toBe('size')
  })

  it('refuses more compressed bytes than are allowed, unread', () => {
    expect(refusal(new Uint8Array(GRAPH_LIMITS.compressedBytes + 1), hash)).toBe('compressed size')
  })

  it('FT-Q6: refuses what is not one whole zlib stream', () => {
    const canonical = canonicalBytes(graph)
    const faults: Record<string, Uint8Array> = {
      'one byte after it': Buffer.concat([bytes, Buffer.from([0])]),
      'two members': Buffer.concat([bytes, bytes]),
      'a preset dictionary': deflateSync(canonical, { dictionary: Buffer.from('"kind":"task"') }),
      nothing: new Uint8Array(0),
      'one byte': bytes.subarray(0, 1),
      'cut in the middle': bytes.subarray(0, bytes.length >> 1),
      'cut in the checksum': bytes.subarray(0, -1),
      'no checksum': bytes.subarray(0, -4),
      'a wrong checksum': Uint8Array.from(bytes, (byte, index) => (index === bytes.length - 1 ? byte ^ 1 : byte)),
      gzip: gzipSync(canonical),
      'raw deflate': deflateRawSync(canonical),
      'no compression at all': canonical,
    }
    const reasons = Object.entries(faults).map(([fault, packed]) => [fault, refusal(packed, hash)])
    expect(Object.fromEntries(reasons)).toEqual({
      'one byte after it': 'trailing',
      'two members': 'trailing',
      'a preset dictionary': 'dictionary',
      nothing: 'zlib',
      'one byte': 'zlib',
      'cut in the middle': 'zlib',
      'cut in the checksum': 'zlib',
      'no checksum': 'zlib',
      'a wrong checksum': 'zlib',
      gzip: 'zlib',
      'raw deflate': expect.stringMatching(/^(zlib|dictionary)$/) as string,
      'no compression at all': expect.stringMatching(/^(zlib|dictionary)$/) as string,
    })
  })

  it('FT-Q6: survives any single wrong byte: the graph itself or INTEGRITY', () => {
    for (let index = 0; index < bytes.length; index += 1) {
      for (const flip of [1, 0x80]) {
        const damaged = Uint8Array.from(bytes)
        damaged[index] = (damaged[index] ?? 0) ^ flip
        let read: unknown
        try {
          read = decompressGraph(damaged, hash)
        } catch (error) {
          expect((error as { code?: unknown }).code).toBe('INTEGRITY')
          continue
        }
        // a bit of the header that says how it was compressed, and nothing about what is in it
        expect(read).toEqual(graph)
      }
    }
  })

  it('FT-Q7: refuses another graph’s bytes, and a name that is no name, before it looks at the bytes', () => {
    const other = compressGraph(graphOf(L3))
    expect(refusal(other.bytes, hash)).toBe('mismatch')
    const names: unknown[] = [
      '',
      'a'.repeat(63),
      'a'.repeat(65),
      hash.toUpperCase(),
      `${hash}\n`,
      `${hash.slice(0, 63)}:`,
      `{${hash.slice(0, 62)}}`,
      ` ${hash.slice(1)}`,
      undefined,
      7,
      [hash],
    ]
    for (const name of names) {
      expect(isGraphHash(name)).toBe(false)
      expect(refusal(new Uint8Array(0), name as string)).toBe('hash')
    }
    expect(isGraphHash(hash)).toBe(true)
    fc.assert(fc.property(fc.string(), (name) => refusal(bytes, name) === 'hash'))
  })

  it('FT-Q3: refuses text that JSON.parse would forgive: doubled keys, other orders, spaces, other spellings', () => {
    const text = canonicalText(graphOf(L3))
    const spellings = {
      'a key twice': text.replace('{"root"', '{"version":1,"root"'),
      'a task twice': text.replace('"a":{},', '"a":{"queue":"evil"},"a":{},'),
      'another order': text.replace(/^\{(.*),"version":1\}$/, '{"version":1,$1}'),
      'a space': text.replace(',', ', '),
      'a line feed at the end': `${text}\n`,
      'an escape': text.replace('"fetch"', '"\\u0066etch"'),
      'another spelling of a number': text.replace('"version":1', '"version":1.0'),
      'a byte order mark': `\ufeff${text}`,
    }
    for (const [fault, spelling] of Object.entries(spellings)) {
      expect(spelling).not.toBe(text)
      expect([fault, refusal(...stored(spelling))]).toEqual([
        fault,
        fault === 'a byte order mark' ? 'json' : 'canonical',
      ])
    }
  })

  it('FT-Q3: refuses 100 000 levels, text that is no UTF-8, and what is no JSON, without running out of stack', () => {
    expect(refusal(...stored('['.repeat(100_000) + ']'.repeat(100_000)))).toBe('depth')
    expect(refusal(...stored('['.repeat(100_000)))).toBe('depth')
    expect(refusal(...stored('{"a":'.repeat(100_000)))).toBe('depth')
    expect(refusal(...stored(`{"root":"\\"${'['.repeat(1_000)}"}`))).toBe('INVALID_NODE')
    expect(refusal(...stored(Uint8Array.of(0x7b, 0xff, 0x7d)))).toBe('utf-8')
    expect(refusal(...stored('{"version":1'))).toBe('json')
    expect(refusal(...stored(''))).toBe('json')
  })

  it('FT-Q3: takes no prototype from what it reads', () => {
    const hostile = [
      '{"__proto__":{"polluted":1},"root":{"kind":"task","name":"a"},"tasks":{"a":{}},"version":1}',
      '{"root":{"kind":"task","name":"__proto__"},"tasks":{"__proto__":{"polluted":1}},"version":1}',
      '{"root":{"kind":"task","name":"__proto__"},"tasks":{"__proto__":{}},"version":1}',
      '{"constructor":{"prototype":{"polluted":1}},"root":{"kind":"task","name":"a"},"tasks":{"a":{}},"version":1}',
      '{"root":{"__proto__":{"name":"a"},"kind":"task"},"tasks":{"a":{}},"version":1}',
      '{"root":{"kind":"task","name":"a"},"tasks":{"a":{"__proto__":{"queue":"q"}}},"version":1}',
      '{"root":{"kind":"task","name":"a"},"tasks":{"a":{"retry":{"constructor":{"prototype":{"polluted":1}}}}},"version":1}',
    ]
    for (const text of hostile) {
      refusal(...stored(text))
      expect(({} as { polluted?: unknown }).polluted).toBe(undefined)
    }
  })

  it('says in one sentence what is wrong, and cuts a long name', () => {
    const error = thrown(() => decompressGraph(bytes, 'x'.repeat(10_000)))
    expect(error.message).toBe(`stored graph "${'x'.repeat(64)}": a graph’s name is 64 lower-case hex digits`)
    expect(error.details).toEqual({ reason: 'hash', hash: 'x'.repeat(64) })
  })
})
