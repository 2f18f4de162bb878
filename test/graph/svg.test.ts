import fc from 'fast-check'
import { par } from '../../lib/flow/group.js'
import { expressionOf } from '../../lib/flow/node.js'
import { seq } from '../../lib/flow/seq.js'
import { task } from '../../lib/flow/task.js'
import type { Graph, GraphNode } from '../../lib/graph/graph.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { allPaths } from '../../lib/graph/locate.js'
import { toSvg } from '../../lib/graph/svg.js'
import { anyExpression } from './arbitrary.js'
import { type Picture, readDrawings, type Rectangle } from './drawings.js'
import { EVERYTHING, L3 } from './everything.js'

const handler = (value: unknown): unknown => value
const echo = (name: string) => task(name, handler)
const svgOf = (node: unknown): string => toSvg(graphOf(expressionOf(node)))
const many = (count: number) =>
  Array.from({ length: count }, (_, index) => echo(`step-${index}`)) as [ReturnType<typeof echo>]

const EVIL = '</text><script>alert(1)</script> & " \' ]]> \u0000 \ud800 \ufffe 😀'
const evilGroup: GraphNode = {
  kind: 'group',
  branches: [{ kind: 'task', name: 'a' }],
  join: { kind: 'strict' },
  options: { name: EVIL },
}
/** Not a graph that can be made: names are checked. The drawing does not rely on it. */
const evilGraph: Graph = {
  version: 1,
  tasks: { a: {} },
  root: { kind: 'workflow', name: 'w', body: evilGroup, options: { description: EVIL } },
}

const random = fc.sample(anyExpression, { numRuns: 60, seed: 3 }).map(graphOf)
const TEXTS = {
  l3: toSvg(graphOf(L3)),
  everything: toSvg(graphOf(EVERYTHING)),
  long: svgOf(seq(...many(400))),
  wide30: svgOf(par(...many(30))),
  wide10000: svgOf(par(...many(10_000))),
  evil: toSvg(evilGraph),
  longName: svgOf(seq(echo('n'.repeat(128)), echo('b'))),
}

const overlap = (one: Rectangle, other: Rectangle): boolean =>
  one.x < other.x + other.width &&
  other.x < one.x + one.width &&
  one.y < other.y + other.height &&
  other.y < one.y + one.height
const holds = (outer: Rectangle, inner: Rectangle): boolean =>
  outer.x <= inner.x &&
  outer.y <= inner.y &&
  outer.x + outer.width >= inner.x + inner.width &&
  outer.y + outer.height >= inner.y + inner.height

describe('toSvg', () => {
  let pictures: Readonly<Record<keyof typeof TEXTS, Picture>>
  let randomPictures: readonly Picture[]

  beforeAll(() => {
    const read = readDrawings({ svg: [...Object.values(TEXTS), ...random.map(toSvg)] }).svg
    const names = Object.keys(TEXTS)
    pictures = Object.fromEntries(names.map((name, index) => [name, read[index]])) as typeof pictures
    randomPictures = read.slice(names.length)
  })

  const at = (picture: Picture, path: string): Rectangle => {
    const found = picture.rectangles.filter((rectangle) => rectangle.path === path)
    expect([path, found.length]).toEqual([path, 1])
    return found[0] as Rectangle
  }

  it('L12: draws a group as a container around its branches, one below the other, between what is before and after', () => {
    const [fetch, group, a, sub, b, store] = ['0', '1', '1/0/0', '1/0/1', '1/1', '2'].map((path) =>
      at(pictures.l3, path),
    ) as [Rectangle, ...Rectangle[]] as [Rectangle, Rectangle, Rectangle, Rectangle, Rectangle, Rectangle]
    expect([fetch.text, a.text, sub.text, b.text, store.text]).toEqual(['fetch', 'a', 'sub', 'b', 'store'])
    expect([a, sub, b].every((branch) => holds(group, branch))).toBe(true)
    expect(fetch.x + fetch.width < group.x && group.x + group.width < store.x).toBe(true)
    expect(a.x + a.width < sub.x && a.y === sub.y && a.y + a.height < b.y).toBe(true)
  })

  it('is one XML document that needs nothing else, in colours for light and dark', () => {
    for (const text of Object.values(TEXTS)) {
      expect(text).not.toMatch(/href|@import|<image|<script|url\((?!#)/)
      expect(text).toContain('@media (prefers-color-scheme:dark)')
    }
    expect(Object.values(pictures).map(({ error }) => error)).toEqual(Object.keys(TEXTS).map(() => undefined))
  })

  it('keeps any text a text', () => {
    expect(pictures.evil.texts).toContain('</text><script>alert(1)</script> & " \' …')
    expect(TEXTS.evil).toContain('\ufffd \ufffd \ufffd 😀')
  })

  it('breaks a long sequence into rows', () => {
    expect(pictures.long.rectangles).toHaveLength(400)
    expect(pictures.long.width).toBeLessThan(1_500)
    const rows = new Set(pictures.long.rectangles.map(({ y }) => y))
    expect(rows.size).toBeGreaterThan(20)
  })

  it('draws the first few of a wide group, and counts the others', () => {
    expect(pictures.wide30.rectangles).toHaveLength(31)
    expect(pictures.wide10000.rectangles).toHaveLength(7)
    expect(pictures.wide10000.texts).toContain('… and 9\u202f994 more')
  })

  it('cuts a long name, and says it whole where one points', () => {
    expect(at(pictures.longName, '0').text).toBe(`${'n'.repeat(39)}…`)
    expect(TEXTS.longName).toContain(`<title>${'n'.repeat(128)}</title>`)
  })

  it('says joins, keys and options', () => {
    const { texts } = pictures.everything
    for (const text of [
      'critical: geo, deep · timeout 1.5 min · queue io · 2 at once',
      'enrich',
      'geo',
      'deep',
      'at least 2 of 3',
      'first of 2',
      'again',
      'low',
      'high',
    ])
      expect(texts).toContain(text)
    expect(texts).toContain('at most 5 passes')
  })

  it('gives the same picture for the same graph', () => {
    expect(toSvg(graphOf(EVERYTHING))).toBe(TEXTS.everything)
  })

  it('lays out any flow so that nothing overlaps but what contains it, inside the picture', () => {
    expect(randomPictures).toHaveLength(random.length)
    randomPictures.forEach(({ error, rectangles, width, height }, index) => {
      expect(error).toBe(undefined)
      const known = new Set([...allPaths(random[index] as Graph)].map(([path]) => path))
      const paths = rectangles.map(({ path }) => path)
      expect(new Set(paths).size).toBe(paths.length)
      expect(paths.filter((path) => !known.has(path))).toEqual([])
      const drawn = rectangles.filter((rectangle) => rectangle.width > 0)
      const page = { ...(drawn[0] as Rectangle), x: 0, y: 0, width, height }
      for (const one of drawn) {
        if (!holds(page, one)) throw new Error(`${one.path} is outside the picture`)
        for (const other of drawn) {
          if (one.path >= other.path) continue
          const isInside = other.path.startsWith(`${one.path}/`)
          if (isInside ? !holds(one, other) : overlap(one, other))
            throw new Error(`${one.path} and ${other.path} lie wrong`)
        }
      }
    })
  })
})
