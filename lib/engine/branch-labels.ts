/**
 * Labels of branches, where the each that dispatches them has the option `label`. Who dispatches writes them with the step that brings the items, as
 * outputs at marks beside the group: so they are there for a branch that never starts, and as long as the run is kept. Hides where they lie.
 */
import type { Inspector, SavedValues } from '../backend/backend.js'
import type { EachNode, Graph, GraphNode } from '../graph/graph.js'
import { nodeAt } from '../graph/locate.js'
import { decode } from '../values/codec.js'
import { labelIn } from '../values/item-label.js'
import { concat, itemCount, type PackedItems } from '../values/packed-items.js'
import { ValueReader, ValueWriter } from '../values/value-lists.js'

/** What has `/!` in it is no result. */
const MARK = '/!l'
/** Labels that lie together. */
const TOGETHER = 1_000

/** Whether a saved path holds labels. */
export const isLabelMark = (path: string): boolean => path.startsWith(MARK, path.lastIndexOf('/'))

/** The label of a branch by its index. */
export type LabelOf = (index: number) => string | undefined

/** The label that a node gives its branches, where it is an each that has one. */
export const labelKeyOf = (node: GraphNode | undefined): string | undefined =>
  node?.kind === 'each' ? node.options.label : undefined

/** Of items that are at hand; undefined where the each has no label. */
export function labelsOfItems(
  { options: { label } }: EachNode,
  items: readonly unknown[] | PackedItems,
): LabelOf | undefined {
  if (label === undefined) return undefined
  if (Array.isArray(items)) return (index) => labelIn(items[index], label)
  const reader = new ValueReader(items as PackedItems) // no array
  return (index) => labelIn(reader.value(index), label)
}

/** What a step saves that brings the items `from` to `to`, with the labels of these. */
export function withLabels(
  save: SavedValues | undefined,
  plan: { readonly path: string; readonly labelOf?: LabelOf; readonly spec: { readonly size: number } },
  from: number,
  to: number,
): SavedValues | undefined {
  const { labelOf, path, spec } = plan
  if (labelOf === undefined) return save
  const paths: string[] = []
  const writer = new ValueWriter()
  for (let first = TOGETHER * Math.ceil(from / TOGETHER); first < to; first += TOGETHER) {
    const labels = Array.from({ length: Math.min(TOGETHER, spec.size - first) }, (_, i) => labelOf(first + i) ?? null)
    if (labels.every((label) => label === null)) continue
    paths.push(`${path}${MARK}${first / TOGETHER}`)
    writer.encode(labels)
  }
  if (paths.length === 0) return save
  if (save === undefined) return { paths, values: writer.take() }
  return { paths: [...save.paths, ...paths], values: concat([save.values, writer.take()]) }
}

/** Reads labels of one run, each part of them once. */
export class StoredLabels {
  readonly #inspect: Pick<Inspector, 'outputs'>
  readonly #runId: string
  readonly #parts = new Map<string, readonly unknown[]>()

  constructor(inspect: Pick<Inspector, 'outputs'>, runId: string) {
    this.#inspect = inspect
    this.#runId = runId
  }

  /** Labels of these branches of the group at a path of the run. Asks nothing where its node gives none. */
  async of(node: GraphNode | undefined, path: string, indexes: Iterable<number>): Promise<LabelOf> {
    if (labelKeyOf(node) === undefined) return NO_LABELS
    const wanted = new Set<string>()
    for (const index of indexes) {
      const mark = markFor(path, index)
      if (!this.#parts.has(mark)) wanted.add(mark)
    }
    const marks = [...wanted]
    const found = marks.length === 0 ? [] : await this.#inspect.outputs(this.#runId, marks)
    for (const [i, mark] of marks.entries()) this.#parts.set(mark, partIn(found[i]))
    return (index) => {
      const label = this.#parts.get(markFor(path, index))?.[index % TOGETHER]
      return typeof label === 'string' ? label : undefined
    }
  }
}

export const NO_LABELS: LabelOf = () => undefined

/** A group of a run, as far as it says where its node stands. */
export interface PlacedGroup {
  readonly gid: string
  readonly graph: string
  readonly node: string
}

/**
 * Labels of places: of each the label of the item that it stands in, of the innermost labelled one. Undefined where there is none.
 * @param load of graphs; one that is not kept gives no labels
 */
export async function labelsOfPlaces(
  labels: StoredLabels,
  runId: string,
  groups: readonly PlacedGroup[],
  load: (hash: string) => Promise<Graph | undefined>,
  paths: readonly string[],
): Promise<(path: string) => string | undefined> {
  const found = new Map<string, string>()
  const inside = [...new Set(paths)].filter((path) => path.includes('/'))
  const byPath = new Map(inside.length === 0 ? [] : groups.map((group) => [group.gid.slice(runId.length + 1), group]))
  const labelAt = async (at: string, segment: string): Promise<string | undefined> => {
    const group = byPath.get(at)
    const index = Number(segment)
    if (group === undefined || group.node === '' || !Number.isSafeInteger(index)) return undefined
    const graph = await load(group.graph)
    return graph && (await labels.of(nodeAt(graph, group.node), at, [index]))(index)
  }
  for (const path of inside) {
    const segments = path.split('/')
    for (let i = segments.length - 1; i > 0; i -= 1) {
      const label = await labelAt(segments.slice(0, i).join('/'), segments[i] ?? '')
      if (label === undefined) continue
      found.set(path, label)
      break
    }
  }
  return (path) => found.get(path)
}

const markFor = (path: string, index: number): string => `${path}${MARK}${Math.floor(index / TOGETHER)}`

/** Nothing where it is not there, or was written in another way by a newer release. */
function partIn(bytes: Uint8Array | undefined): readonly unknown[] {
  try {
    const labels: unknown = bytes === undefined ? [] : decode(bytes)
    return Array.isArray(labels) ? labels : []
  } catch {
    return []
  }
}

/** How many items a step brings, of a group whose branches have their own. */
export const endOfPart = (from: number, inputs: PackedItems): number => from + itemCount(inputs)
