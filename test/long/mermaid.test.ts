import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { choose } from '../../lib/flow/choose.js'
import { each, par } from '../../lib/flow/group.js'
import { done, loop } from '../../lib/flow/loop.js'
import { expressionOf } from '../../lib/flow/node.js'
import { seq } from '../../lib/flow/seq.js'
import { task } from '../../lib/flow/task.js'
import { workflow } from '../../lib/flow/workflow.js'
import type { Graph, GraphNode } from '../../lib/graph/graph.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { toMermaid } from '../../lib/graph/mermaid.js'
import { anyExpression } from '../graph/arbitrary.js'
import { type Flowchart, readDrawings } from '../graph/drawings.js'
import { EVERYTHING, L3, ONE_TASK } from '../graph/everything.js'

type AnyTask = ReturnType<typeof echo>
const handler = (value: unknown): unknown => value
const echo = (name: string) => task(name, handler)
const mermaidOf = (node: unknown): string => toMermaid(graphOf(expressionOf(node)))
const sorted = (list: readonly string[]): readonly string[] => [...list].sort()

/** Words of Mermaid's flowcharts, and what it takes for something else: lists, links, edges. */
const RESERVED = [
  'end',
  'End',
  'class',
  'classDef',
  'subgraph',
  'graph',
  'flowchart',
  'click',
  'style',
  'linkStyle',
  'default',
  'direction',
]
const ODD = [
  'LR',
  'x',
  'o',
  'href',
  'call',
  '1.',
  '2.b',
  '-',
  '--',
  '-.-',
  '.',
  '..',
  '_',
  '__',
  '0',
  'n0',
  'x--x',
  'o-o',
  'a.b',
  '1-',
  'http',
]
const WORDS = [...RESERVED, ...ODD]
const wordTasks = WORDS.map(echo) as [AnyTask, ...AnyTask[]]
/** Each word as the key of the task after it. */
const keyed = (from: number, to?: number): Record<string, AnyTask> =>
  Object.fromEntries(
    WORDS.map((word, index) => [word, wordTasks[(index + 1) % WORDS.length] as AnyTask] as const).slice(from, to),
  )

const EVIL = [
  ...[
    '"]; click n0 "javascript:alert(1)"',
    'a"] --> b["',
    '`code`',
    '**bold**',
    '<img src=x onerror=alert(1)>',
    '#quot;',
    '%%{init: {}}%%',
  ],
  ...['1. one', '- one', 'x\ny', '; end', '&amp;', '😀 größe', '{{x}}', '|y|', '\u0000'],
]
/** Not a graph that can be made: names are checked. The drawing does not rely on it. */
const named = (name: string): Graph => {
  const root: GraphNode = {
    kind: 'group',
    branches: [{ kind: 'task', name: 'a' }],
    join: { kind: 'strict' },
    options: { name },
  }
  return { version: 1, tasks: { a: {} }, root }
}

const wide = (count: number): string =>
  mermaidOf(par(...(Array.from({ length: count }, (_, index) => echo(`t${index}`)) as [AnyTask, ...AnyTask[]])))
const pick = task('pick', (_: unknown): 'x' | 'y' => 'x')
const last = task('last', (value: unknown) => done(value))
const group: GraphNode = {
  kind: 'group',
  branches: [{ kind: 'task', name: 'a' }],
  join: { kind: 'strict' },
  options: {},
}
const random = fc.sample(anyExpression, { numRuns: 60, seed: 12 }).map((flow) => toMermaid(graphOf(flow)))

const TEXTS = {
  l3: toMermaid(graphOf(L3)),
  words: mermaidOf(seq(...wordTasks)),
  keys: mermaidOf(
    seq(par(keyed(0, 25)), par(keyed(25)).configure({ name: 'end' }), workflow('subgraph', wordTasks[0])),
  ),
  choice: mermaidOf(seq(choose(pick, { x: echo('a'), y: seq(echo('b'), echo('c')) }), echo('d'))),
  containers: mermaidOf(
    seq(
      loop(seq(echo('first'), last), { maxCycles: 3 }),
      loop(last, { maxCycles: 1 }),
      task('split', (value: unknown) => [value]),
      each(echo('a')).atLeast(2),
      workflow('inner', echo('b'), { timeoutMs: 90_000 }),
    ),
  ),
  loopedGroup: toMermaid({ version: 1, tasks: { a: {} }, root: { kind: 'loop', body: group, maxCycles: 2 } }),
  everything: toMermaid(graphOf(EVERYTHING)),
  wide30: wide(30),
  wide10000: wide(10_000),
}

/** Diagrams that people wrote into pages. */
const root = join(__dirname, '../..')
const pages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`)
const diagrams = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...pages]
  .filter((name) => name.endsWith('.md'))
  .flatMap((name) =>
    [...readFileSync(join(root, name), 'utf8').matchAll(/^```mermaid\n([^]*?)^```/gm)].map(([, diagram = '']) => ({
      name,
      diagram,
    })),
  )

describe('toMermaid', () => {
  let charts: Readonly<Record<keyof typeof TEXTS, Flowchart>>
  let evil: readonly Flowchart[]
  let randomCharts: readonly Flowchart[]
  let faultsOfPages: readonly string[]

  // one process for all of it: Mermaid takes a second to load
  beforeAll(() => {
    const texts = [...Object.values(TEXTS), ...EVIL.map((name) => toMermaid(named(name))), ...random]
    const { mermaid: read, faults } = readDrawings({ mermaid: texts, diagrams: diagrams.map(({ diagram }) => diagram) })
    faultsOfPages = faults
    const count = Object.keys(TEXTS).length
    charts = Object.fromEntries(Object.keys(TEXTS).map((name, index) => [name, read[index]])) as typeof charts
    evil = read.slice(count, count + EVIL.length)
    randomCharts = read.slice(count + EVIL.length)
  })

  it('L12: draws a group as a container, with edges to it, from it and inside it', () => {
    expect(TEXTS.l3).toBe(`flowchart LR
  n0["fetch"]
  subgraph n1["all of 2"]
    direction LR
    n1__0__0["a"]
    n1__0__1["sub"]
    n1__0__0 --> n1__0__1
    n1__1["b"]
  end
  n0 --> n1
  n2["store"]
  n1 --> n2
`)
    expect(charts.l3).toEqual({
      boxes: { n0: 'fetch', n1__0__0: 'a', n1__0__1: 'sub', n1__1: 'b', n2: 'store' },
      shapes: { n0: 'square', n1__0__0: 'square', n1__0__1: 'square', n1__1: 'square', n2: 'square' },
      edges: ['n1__0__0 → n1__0__1', 'n0 → n1', 'n1 → n2'],
      containers: { n1: { label: 'all of 2', holds: ['n1__0__0', 'n1__0__1', 'n1__1'] } },
    })
  })

  it('L12: escapes words of its own language, as names and as keys', () => {
    expect([charts.words.error, charts.keys.error]).toEqual([undefined, undefined])
    expect(Object.values(charts.words.boxes)).toEqual(WORDS)
    expect(charts.words.edges).toHaveLength(WORDS.length - 1)
    const labels = WORDS.map((word, index) => `${word}: ${WORDS[(index + 1) % WORDS.length]}`)
    expect(sorted(Object.values(charts.keys.boxes))).toEqual(sorted([...labels, 'end']))
    expect(sorted(Object.values(charts.keys.containers).map(({ label }) => label))).toEqual([
      'all of 25',
      `end · all of ${WORDS.length - 25}`,
      'subgraph · workflow',
    ])
  })

  it('L12: lets no text out of its label, whatever is in it', () => {
    expect(evil.map(({ error }) => error)).toEqual(EVIL.map(() => undefined))
    expect(evil.map(({ containers }) => containers['n0']?.label)).toEqual(EVIL.map((name) => `${name} · all of 1`))
    expect(evil.every(({ boxes, edges }) => edges.length === 0 && Object.keys(boxes).length === 1)).toBe(true)
  })

  it('L12: writes no label that reads like a list, which some versions of Mermaid refuse to draw', () => {
    expect(['1. one', '12.b', '- one', 'a-1.b'].map((name) => toMermaid(named(name)).split('\n')[1])).toEqual([
      '  subgraph n0["1#46; one · all of 1"]',
      '  subgraph n0["12#46;b · all of 1"]',
      '  subgraph n0["#45; one · all of 1"]',
      '  subgraph n0["a-1.b · all of 1"]',
    ])
  })

  it('draws a choice as a diamond with its cases on the edges, and goes on from each case', () => {
    expect(charts.choice.shapes['n0___3f_']).toBe('diamond')
    expect(sorted(charts.choice.edges)).toEqual(
      sorted(['n0___3f_ → n0__x x', 'n0___3f_ → n0__y__0 y', 'n0__x → n1', 'n0__y__0 → n0__y__1', 'n0__y__1 → n1']),
    )
  })

  it('draws an edge back in a loop, and a container around each, loop and workflow', () => {
    expect(charts.containers.containers).toEqual({
      n0: { label: 'loop · at most 3 passes', holds: ['n0___2a___0', 'n0___2a___1'] },
      n1: { label: 'loop · at most 1 pass', holds: ['n1___2a_'] },
      n3: { label: 'each · at least 2', holds: ['n3___2a_'] },
      n4: { label: 'inner · workflow · timeout 1.5 min', holds: ['n4__w'] },
    })
    expect(charts.containers.edges).toEqual([
      ...['n0___2a___0 → n0___2a___1', 'n0___2a___1 → n0___2a___0 again', 'n1___2a_ → n1___2a_ again'],
      ...['n0 → n1', 'n1 → n2', 'n2 → n3', 'n3 → n4'],
    ])
  })

  it('leads back to a container through a node, since an edge from it to itself breaks renderers', () => {
    expect(charts.loopedGroup.edges).toEqual(['n0___2a_ → n0_again', 'n0_again → n0___2a_ again'])
  })

  it('says joins and options', () => {
    expect(charts.everything.boxes['n5__2']).toBe(
      'score\n3 attempts · delay 1 s · timeout 5 s · queue gpu · needs avx-512, gpu · prefers worker-1 · priority -100 · thread · at most 0 losses · at most 7 passes',
    )
    expect(sorted(Object.values(charts.everything.containers).map(({ label }) => label))).toEqual(
      sorted([
        'enrich · critical: geo, deep · timeout 1.5 min · queue io · 2 at once',
        'settled of 2',
        'at least 2 of 3',
        'first of 2',
        'loop · at most 5 passes',
        'inner.flow · workflow · timeout 1 s',
        'all of 1',
        'each · join: most',
      ]),
    )
  })

  it('draws the first few of a wide group, and counts the others', () => {
    expect(Object.keys(charts.wide30.boxes)).toHaveLength(30)
    expect(Object.values(charts.wide10000.boxes)).toEqual(['t0', 't1', 't2', 't3', 't4', 't5', '… and 9\u202f994 more'])
  })

  it('draws a lone task', () => {
    expect(toMermaid(graphOf(ONE_TASK))).toBe('flowchart LR\n  n0["fetch"]\n')
  })

  it('and the diagrams of the pages are what Mermaid can draw', () => {
    expect(diagrams.length).toBeGreaterThan(0)
    expect(faultsOfPages).toHaveLength(diagrams.length)
    const broken = faultsOfPages.flatMap((fault, at) => (fault === '' ? [] : [`${diagrams[at]?.name ?? ''}: ${fault}`]))
    expect(broken).toEqual([])
  })

  it('L12: is accepted by a Mermaid parser for any flow, every edge between things that are there', () => {
    expect(randomCharts).toHaveLength(random.length)
    randomCharts.forEach(({ error, boxes, containers, edges }, index) => {
      expect([error, random[index]]).toEqual([undefined, random[index]])
      const there = new Set([...Object.keys(boxes), ...Object.keys(containers)])
      const ends = edges.flatMap((edge) => [edge.split(' ')[0], edge.split(' ')[2]])
      expect(ends.filter((end) => end === undefined || !there.has(end))).toEqual([])
    })
  })
})
