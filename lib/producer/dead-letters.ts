/** Dead letters for people: what the store keeps of a branch, with names and errors, and the run that tries it again. */
import type { Backend, DeadLetter as StoredLetter } from '../backend/backend.js'
import type { Engine } from '../engine/engine.js'
import { labelKeyOf, StoredLabels } from '../engine/branch-labels.js'
import { labelOf } from '../engine/prepared-grant.js'
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import { branchGraph, nodeOfBranch } from '../graph/branch-graph.js'
import type { Graph, GraphNode } from '../graph/graph.js'
import { groupSegment, nodeAt } from '../graph/locate.js'
import { checkOptions, PAGE_OPTIONS, RUN_OPTIONS, type OptionTable } from '../options.js'
import { decode } from '../values/codec.js'
import { labelIn } from '../values/item-label.js'
import type { DeadLetter, DeadLetterOptions, DeadLetterWithInput, Page } from './operator-types.js'
import type { StoredWork } from './prepare-run.js'
import type { DeadLetters, Run } from './types.js'

export interface DeadLetterServices {
  readonly backend: Pick<Backend, 'inspect' | 'deleteDeadLetters'>
  readonly engine: Pick<Engine, 'graphs'>
  /** Opens a run of a stored graph, which any worker drives. */
  readonly submit: (work: StoredWork) => Promise<Run<unknown>>
}

const LIST_OPTIONS = { ...PAGE_OPTIONS, task: { kind: 'string', help: '' } } as const satisfies OptionTable

/** Letters that are read at once to find those of one task. */
const PAGE = 50

export class DeadLetterBox implements DeadLetters {
  readonly #services: DeadLetterServices

  constructor(services: DeadLetterServices) {
    this.#services = services
  }

  async list(options?: DeadLetterOptions): Promise<Page<DeadLetter>> {
    const { limit = LIST_OPTIONS.limit.default, cursor, task } = checkOptions('deadLetters.list', LIST_OPTIONS, options)
    const items: DeadLetter[] = []
    for (let before = cursor; ; ) {
      const page = await this.#services.backend.inspect.deadLetters(PAGE, before)
      for (const letter of page) {
        const read = await this.#read(letter, await this.#graphOf(letter))
        if (task !== undefined && read.task !== task) continue
        // there is another one: the next page begins behind the last
        if (items.length === limit) return { items, cursor: items.at(-1)?.id ?? letter.id }
        items.push(read)
      }
      before = page.at(-1)?.id
      if (page.length < PAGE) return { items }
    }
  }

  async get(id: string): Promise<DeadLetterWithInput | undefined> {
    const letter = await this.#find(id)
    if (letter === undefined) return undefined
    const hasInput = letter.input.length > 0
    return {
      ...(await this.#read(letter, await this.#graphOf(letter))),
      input: hasInput ? decode(letter.input) : undefined,
      hasInput,
    }
  }

  async replay(id: string, options?: { readonly idempotencyKey?: string }): Promise<Run<unknown>> {
    const table = { idempotencyKey: RUN_OPTIONS.idempotencyKey } as const
    const how = checkOptions<{ readonly idempotencyKey?: string }>('deadLetters.replay', table, options)
    const letter = await this.#find(id)
    if (letter === undefined) throw notKept(id, 'there is no dead letter with this id, or none any more')
    if (letter.input.length === 0) throw notKept(id, 'its input is larger than 64 KiB, which is not kept')
    const graph = await this.#graphOf(letter)
    const own = graph && branchGraph(graph, letter.node, letter.index)
    if (own === undefined) throw notKept(id, 'the graph of its run is not kept any more')
    return this.#services.submit({ ...own, ...how, input: letter.input })
  }

  async delete(id: string): Promise<boolean> {
    checkId('delete', id)
    return (await this.#services.backend.deleteDeadLetters({ id })) > 0
  }

  async purge(options?: { readonly before?: Date }): Promise<number> {
    const table = { before: { kind: 'object', like: { what: 'a Date', methods: ['getTime'] }, help: '' } } as const
    const { before } = checkOptions<{ readonly before?: Date }>('deadLetters.purge', table, options)
    const until = before?.getTime() ?? Number.MAX_SAFE_INTEGER
    if (Number.isNaN(until)) throw invalid('purge', 'before: expected a Date, got an invalid one')
    return this.#services.backend.deleteDeadLetters({ before: Math.max(0, until) })
  }

  /** The run has the label of a branch whose input was too large to be kept with the letter. */
  async #labelOf(
    { runId, index, input }: StoredLetter,
    group: GraphNode | undefined,
    path: string,
  ): Promise<string | undefined> {
    const key = labelKeyOf(group)
    if (key === undefined) return undefined
    if (input.length > 0) return labelIn(decode(input), key)
    return (await new StoredLabels(this.#services.backend.inspect, runId).of(group, path, [index]))(index)
  }

  #find(id: string): Promise<StoredLetter | undefined> {
    checkId('get and replay', id)
    return this.#services.backend.inspect.deadLetter(id)
  }

  /** Undefined where it is not kept any more. */
  async #graphOf({ graph }: StoredLetter): Promise<Graph | undefined> {
    if (graph === '') return undefined
    try {
      return await this.#services.engine.graphs.load(graph)
    } catch (error) {
      if (error instanceof GraflowError && error.code === 'NO_GRAPH') return undefined
      throw error
    }
  }

  async #read(letter: StoredLetter, graph: Graph | undefined): Promise<DeadLetter> {
    const { id, runId, gid, node, index, kind, errors, losses, at } = letter
    const group = graph && nodeAt(graph, node)
    const own = gid.slice(runId.length + 1)
    const isInGroup = group === undefined ? node !== '' : group.kind === 'each' || group.kind === 'group'
    const segment = group?.kind === 'group' ? groupSegment(group, index) : index
    const error = letter.error.length === 0 ? undefined : decode(letter.error)
    const label = await this.#labelOf(letter, group, own)
    return {
      ...{ id, runId, errors, losses },
      path: isInGroup ? `${own}/${segment}` : own,
      index,
      task: graph && labelOf(nodeOfBranch(graph, node, index), graph),
      ...(label !== undefined && { label }),
      status: kind,
      at: new Date(at),
      error: error instanceof GraflowError ? error : undefined,
    }
  }
}

const notKept = (id: string, why: string): GraflowError =>
  new GraflowError('NOT_KEPT', `dead letter ${id} cannot be replayed: ${why}`, { details: { id } })

const invalid = (what: string, fault: string): GraflowError =>
  new GraflowError('INVALID_OPTION', `deadLetters.${what}: ${fault}`)

/** Callers may have no types. @throws GraflowError INVALID_OPTION */
function checkId(what: string, id: unknown): void {
  if (typeof id !== 'string') throw invalid(what, `expected the id of a dead letter, a string, got ${describe(id)}`)
}
