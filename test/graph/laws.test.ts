import { deflateSync, inflateSync } from 'node:zlib'
import fc from 'fast-check'
import { canonicalBytes, canonicalText, graphHash } from '../../lib/graph/canonical.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { allPaths, nodeAt, pathsOf, staticPath } from '../../lib/graph/locate.js'
import { compressGraph, decompressGraph } from '../../lib/graph/compressed-graph.js'
import { parseGraph } from '../../lib/graph/validate.js'
import { anyExpression } from './arbitrary.js'

describe('laws of graphs', () => {
  it('a graph read back from its canonical text is equal, and has the same text and name', () => {
    fc.assert(
      fc.property(anyExpression, (expression) => {
        const graph = graphOf(expression)
        const text = canonicalText(graph)
        const read = parseGraph(JSON.parse(text))
        expect(read).toEqual(graph)
        expect([canonicalText(read), graphHash(read)]).toEqual([text, graphHash(graph)])
      }),
      { numRuns: 150 },
    )
  })

  it('a graph unpacked from its packed bytes is equal, whichever zlib packed or unpacks it', () => {
    fc.assert(
      fc.property(anyExpression, (expression) => {
        const graph = graphOf(expression)
        const { bytes, hash } = compressGraph(graph)
        expect(decompressGraph(bytes, hash)).toEqual(graph)
        expect(decompressGraph(deflateSync(canonicalBytes(graph)), hash)).toEqual(graph)
        expect(inflateSync(bytes).equals(canonicalBytes(graph))).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  it('two graphs have one name exactly when they have one canonical text', () => {
    fc.assert(
      fc.property(anyExpression, anyExpression, (one, other) => {
        const [left, right] = [graphOf(one), graphOf(other)]
        expect(graphHash(left) === graphHash(right)).toBe(canonicalText(left) === canonicalText(right))
      }),
      { numRuns: 150 },
    )
  })

  it('every place has a path of its own that leads to it, and is its own path in the graph', () => {
    fc.assert(
      fc.property(anyExpression, (expression) => {
        const graph = graphOf(expression)
        const all = [...allPaths(graph)]
        expect(new Set(all.map(([path]) => path)).size).toBe(all.length)
        for (const [path, node] of all) {
          expect(nodeAt(graph, path)).toBe(node)
          expect(staticPath(graph, path)).toBe(path)
          expect(staticPath(graph, path.replaceAll('*', '7'))).toBe(path)
          if (node.kind === 'task' || node.kind === 'workflow') expect(pathsOf(graph, node.name)).toContain(path)
        }
        for (const name of Object.keys(graph.tasks)) expect(pathsOf(graph, name).length).toBeGreaterThan(0)
      }),
      { numRuns: 150 },
    )
  })
})
