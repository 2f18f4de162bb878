/** When the branches of a group were started, where, and how they ended: read from the store page by page, and later only what is new. */
import type { GroupStatus, OutcomesPage } from '../backend/backend.js'
import { plainOutput } from '../engine/directives.js'
import type { Graph } from '../graph/graph.js'
import type { OperatorServices } from '../producer/operators.js'
import type { ReportStatus } from '../report/report.js'
import { decodeTimes } from '../values/branch-times.js'
import { decodeItem } from '../values/value-lists.js'

const MOST_FAILURES = 60
/** Outputs of the first branches of a group that are shown. */
const MOST_VALUES = 8

/** What reading needs of a client or server. */
export type TimesSource = Pick<OperatorServices, 'backend' | 'engine'>

/** Names of workers, by the numbers that a report has for them. */
export class Workers {
  readonly names: string[] = []
  readonly #numbers = new Map<string, number>()
  readonly #known = new Map<number, string>()

  /** Of the worker with this tag in a group; `names`: those that the group says. Another group may say it where this one does not. */
  tagged(tag: number, names: ReadonlyMap<number, string>): number {
    const name = names.get(tag) ?? this.#known.get(tag)
    if (name !== undefined) this.#known.set(tag, name)
    return this.named(name ?? `worker ${tag.toString(16)}`)
  }

  /** Of the worker that calls itself so. */
  named(name: string): number {
    let number = this.#numbers.get(name)
    if (number === undefined) {
      number = this.names.push(name) - 1
      this.#numbers.set(name, number)
    }
    return number
  }
}

/** What the store has of a group's branches: a column for each fact, a row for each branch. */
export interface GroupTimes {
  readonly graph: Graph | undefined
  readonly status: (ReportStatus | undefined)[]
  /** The last 32 bits of its start, as in branch-times.ts; NaN where it is not known. */
  readonly start: Float64Array
  readonly durationMs: Float64Array
  readonly errors: Uint8Array
  readonly losses: Uint8Array
  readonly tag: Int32Array
  readonly names: ReadonlyMap<number, string>
  readonly failed: readonly { readonly index: number; readonly error: unknown }[]
  readonly outputs: readonly { readonly index: number; readonly value: unknown }[]
}

/** Undefined where the outcomes of the group are not kept any more. */
export async function readTimes(source: TimesSource, group: GroupStatus): Promise<GroupTimes | undefined> {
  const reader = await GroupReader.open(source, group)
  return (await reader.readOn()) === 'gone' && !reader.hasRead ? undefined : reader.times
}

/** Reads the outcomes of one group, each once: the columns of `times` fill as it reads on. */
export class GroupReader {
  readonly times: GroupTimes
  readonly #source: TimesSource
  readonly #gid: string
  readonly #names = new Map<number, string>()
  readonly #failed: { index: number; error: unknown }[] = []
  readonly #outputs: { index: number; value: unknown }[] = []
  #after = 0
  #isWhole = false

  private constructor(source: TimesSource, { gid, size }: GroupStatus, graph: Graph | undefined) {
    this.#source = source
    this.#gid = gid
    this.times = {
      graph,
      status: new Array<ReportStatus | undefined>(size).fill(undefined),
      ...{ start: new Float64Array(size).fill(Number.NaN), durationMs: new Float64Array(size) },
      ...{ errors: new Uint8Array(size), losses: new Uint8Array(size), tag: new Int32Array(size).fill(-1) },
      ...{ names: this.#names, failed: this.#failed, outputs: this.#outputs },
    }
  }

  static async open(source: TimesSource, group: GroupStatus): Promise<GroupReader> {
    return new GroupReader(source, group, await source.engine.graphs.load(group.graph).catch(() => undefined))
  }

  /** Whether any page was there. */
  get hasRead(): boolean {
    return this.#after > 0 || this.#isWhole
  }

  /** Reads what came since the last call; nothing more is asked of a group that was read to its end. */
  async readOn(): Promise<'same' | 'more' | 'gone'> {
    let found: 'same' | 'more' = 'same'
    while (!this.#isWhole) {
      const page = await this.#source.backend.inspect.outcomes(this.#gid, this.#after)
      if (page === undefined) return 'gone'
      if (page.chunks.length > 0 || page.withdrawn !== undefined) found = 'more'
      this.#add(page)
      this.#isWhole = page.withdrawn !== undefined
      if (page.next === this.#after) break
      this.#after = page.next
    }
    return found
  }

  #add({ chunks, withdrawn }: OutcomesPage): void {
    for (const { indexes, kinds, values, times: kept = [] } of chunks) {
      for (const [i, index] of indexes.entries()) {
        const kind = kinds[i] ?? 'dead'
        this.times.status[index] = kind
        if (kind === 'succeeded') {
          if (this.#outputs.length < MOST_VALUES)
            this.#outputs.push({ index, value: plainOutput(decodeItem(values, i)) })
        } else if (this.#failed.length < MOST_FAILURES) {
          const isSilent = values.ends[i] === (values.ends[i - 1] ?? 0)
          this.#failed.push({ index, error: isSilent ? undefined : decodeItem(values, i) })
        }
      }
      for (const range of kept) this.#addTimes(range.bytes, range.indexes)
    }
    for (const [i, index] of (withdrawn?.indexes ?? new Uint32Array(0)).entries())
      this.times.status[index] = withdrawn?.kinds[i] ?? 'cancelled'
  }

  #addTimes(bytes: Uint8Array, indexes: Uint32Array): void {
    const read = decodeTimes(bytes, indexes)
    if (read === undefined) return
    if (read.name !== undefined) this.#names.set(read.tag, read.name)
    const { times } = this
    for (const { index, start, durationMs, errors, losses } of read.branches) {
      if (times.status[index] === undefined) continue // it did not end by this
      times.start[index] = start
      times.durationMs[index] = durationMs
      times.errors[index] = errors
      times.losses[index] = losses
      times.tag[index] = read.tag
    }
  }
}
