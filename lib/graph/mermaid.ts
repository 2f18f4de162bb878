/**
 * A graph as a Mermaid flowchart. Hides Mermaid's traps: identifiers are made from paths, so that no name is ever taken for a word of
 * its language, and labels have every character escaped that means something there.
 */
import type { ChooseNode, EachNode, Graph, GraphNode, GroupNode, LaterNode, LoopNode, WorkflowNode } from './graph.js'
import { containerLabel, drawnOf, keyed, keyOf, type Label, moreLabel, taskLabel, waitLabel } from './labels.js'
import { type Placed, placedIn, stepsOf } from './locate.js'

/**
 * Text for any Mermaid renderer: groups, each, loops, workflows and later as containers, choices as diamonds, another pass as a dotted edge.
 * Of a group with many branches the first few and a count. The same graph gives the same text.
 */
export function toMermaid(graph: Graph): string {
  const chart = new Flowchart(graph)
  chart.chain(
    stepsOf(graph).map((node, index) => [String(index), node] as const),
    undefined,
  )
  return chart.text()
}

/** Where edges end: at a box, or at a container as a whole. */
interface End {
  readonly id: string
  readonly isContainer: boolean
}
interface Ends {
  readonly entries: readonly End[]
  readonly exits: readonly End[]
}

class Flowchart {
  readonly #graph: Graph
  readonly #lines: string[] = ['flowchart LR']
  #indent = 1

  constructor(graph: Graph) {
    this.#graph = graph
  }

  text(): string {
    return `${this.#lines.join('\n')}\n`
  }

  /** Nodes one after the other, with the edges between them. `key` is shown at the first. */
  chain(steps: readonly Placed[], key: string | undefined): Ends {
    let entries: readonly End[] = []
    let exits: readonly End[] = []
    steps.forEach(([path, node], index) => {
      const ends = this.#node(path, node, index === 0 ? key : undefined)
      if (index === 0) entries = ends.entries
      this.#join(exits, '-->', ends.entries)
      exits = ends.exits
    })
    return { entries, exits }
  }

  #node(path: string, node: GraphNode, key: string | undefined): Ends {
    switch (node.kind) {
      case 'task':
        return this.#box(path, '["', taskLabel(this.#graph, node), '"]', key)
      case 'sequence':
        return this.chain(placedIn([path, node]), key)
      case 'group':
        return this.#container(path, node, key, () => this.#branches(path, node))
      case 'wait':
        return this.#box(path, '(["', waitLabel(node), '"])', key)
      case 'each':
      case 'workflow':
      case 'later':
        return this.#container(path, node, key, () => this.chain(placedIn([path, node]), undefined))
      case 'loop':
        return this.#container(path, node, key, () => this.#passes(path, node))
      case 'choose':
        return this.#choice(path, node, key)
    }
  }

  #branches(path: string, node: GroupNode): void {
    const { drawn, counted } = drawnOf(node.branches.length)
    const branches = placedIn([path, node])
    for (let index = 0; index < drawn; index += 1) this.chain(branches.slice(index, index + 1), keyOf(node, index))
    if (counted > 0) this.#more(path, counted)
  }

  #passes(path: string, node: LoopNode): void {
    const { entries, exits } = this.chain(placedIn([path, node]), undefined)
    if (!exits.some((exit) => exit.isContainer)) {
      this.#join(exits, '-. again .->', entries)
      return
    }
    // an edge from a container to itself is more than renderers can do
    const end: End = { id: `${idOf(path)}_again`, isContainer: false }
    this.#line(`${end.id}(("again?"))`)
    this.#join(exits, '-->', [end])
    this.#join([end], '-. again .->', entries)
  }

  #choice(path: string, node: ChooseNode, key: string | undefined): Ends {
    const [[decisionPath, decide], ...cases] = placedIn([path, node]) as [Placed, ...Placed[]]
    const decision =
      decide.kind === 'task'
        ? this.#box(decisionPath, '{"', taskLabel(this.#graph, decide), '"}', key)
        : this.#node(decisionPath, decide, key)
    let from = decision.exits
    if (decide.kind !== 'task') {
      from = this.#box(path, '{"', { title: '?', note: '' }, '"}', undefined).exits
      this.#join(decision.exits, '-->', from)
    }
    const exits: End[] = []
    const { drawn, counted } = drawnOf(cases.length)
    cases.slice(0, drawn).forEach((placed, index) => {
      const ends = this.chain([placed], undefined)
      this.#join(from, `-->|"${escaped(node.cases[index]?.[0] ?? '')}"|`, ends.entries)
      exits.push(...ends.exits)
    })
    if (counted > 0) {
      const more = this.#more(path, counted)
      this.#join(from, '-->', [more])
      exits.push(more)
    }
    return { entries: decision.entries, exits }
  }

  #more(path: string, count: number): End {
    const end: End = { id: `${idOf(path)}_more`, isContainer: false }
    this.#line(`${end.id}["${escaped(moreLabel(count))}"]`)
    return end
  }

  #box(path: string, open: string, label: Label, close: string, key: string | undefined): Ends {
    const end: End = { id: idOf(path), isContainer: false }
    this.#line(`${end.id}${open}${labelText(label, key)}${close}`)
    return { entries: [end], exits: [end] }
  }

  #container(
    path: string,
    node: GroupNode | EachNode | LoopNode | WorkflowNode | LaterNode,
    key: string | undefined,
    inside: () => void,
  ): Ends {
    const end: End = { id: idOf(path), isContainer: true }
    this.#line(`subgraph ${end.id}["${labelText(containerLabel(node), key, ' · ')}"]`)
    this.#indent += 1
    this.#line('direction LR')
    inside()
    this.#indent -= 1
    this.#line('end')
    return { entries: [end], exits: [end] }
  }

  #join(from: readonly End[], arrow: string, to: readonly End[]): void {
    for (const start of from) for (const end of to) this.#line(`${start.id} ${arrow} ${end.id}`)
  }

  #line(text: string): void {
    this.#lines.push('  '.repeat(this.#indent) + text)
  }
}

/** Different paths have different identifiers: `__` for a slash, `_2e_` for what is no letter or digit. */
function idOf(path: string): string {
  return `n${path.replace(/[^A-Za-z0-9/]/g, (c) => `_${c.charCodeAt(0).toString(16)}_`).replaceAll('/', '__')}`
}

/** Renderers leave room for one line at the top of a container. */
function labelText({ title, note }: Label, key: string | undefined, between: '<br/>' | ' · ' = '<br/>'): string {
  return [keyed(key, title), note]
    .filter((line) => line !== '')
    .map(escaped)
    .join(between)
}

/** Mermaid's own entities, `#35;`, for whatever may be markup; some of its versions also refuse what Markdown takes for a list. */
function escaped(text: string): string {
  return text
    .replace(/[^\p{L}\p{N} _.,:?…·\u202f-]/gu, (c) => `#${c.codePointAt(0)};`)
    .replace(/^(\d+)\./, '$1#46;')
    .replace(/^-/, '#45;')
}
