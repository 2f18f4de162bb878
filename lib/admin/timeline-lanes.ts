/** The branches of a run by worker and slot, and what of them a window of time shows. Hides when a lane is drawn as branches, and when as bins. */
import type { ReportStatus } from '../report/report.js'
import type { TimelineBins, TimelineBlocks, TimelineLane } from '../report/timeline.js'
import type { Spans } from './group-spans.js'
import type { GroupTimes } from './group-times.js'

/** Branches of a lane that are drawn by themselves; of all lanes together. */
const MOST_BLOCKS = 2_000
const MOST_BLOCKS_IN_ALL = 8_000
/** Slots that are told apart. */
const MOST_SLOTS = 64
/** More than a run has branches with times: a start and a number make one key, which sorts without a function. */
const MOST_BRANCHES = 2 ** 20
const LETTERS: Readonly<Record<ReportStatus, string>> = {
  ...{ succeeded: 's', failed: 'f', dead: 'd', cancelled: 'c', skipped: 'k' },
}

/** One branch of the run on its way into a lane. */
interface Found {
  readonly group: number
  readonly index: number
  readonly start: number
  readonly end: number
  readonly status: ReportStatus
  readonly again: number
}

/** All branches of one worker that have times, in order of their starts. */
export class Lane {
  readonly worker: number
  readonly #found: readonly Found[]
  readonly #row: Uint8Array
  readonly #until: number[] = []
  /** One at least. */
  slots: number
  readonly failed: number

  constructor(worker: number, found: readonly Found[]) {
    this.worker = worker
    const earliest = found.reduce((least, { start }) => Math.min(least, start), Number.POSITIVE_INFINITY)
    const keys = Float64Array.from(found, ({ start }, i) => Math.floor(start - earliest) * MOST_BRANCHES + i).sort()
    this.#found = Array.from(keys, (key) => found[key % MOST_BRANCHES] as Found) // the key was made of this number
    this.#row = new Uint8Array(found.length)
    this.slots = this.#pack()
    this.failed = found.reduce((sum, { status }) => sum + (isBad(status) ? 1 : 0), 0)
  }

  get branches(): number {
    return this.#found.length
  }

  /** Gives every branch the first slot that is free at its start: how many there are. */
  #pack(): number {
    const until = this.#until
    for (const [i, { start, end }] of this.#found.entries()) {
      let row = until.findIndex((free) => free <= start)
      if (row < 0) row = until.length < MOST_SLOTS ? until.length : until.indexOf(Math.min(...until))
      until[row] = Math.max(until[row] ?? 0, end, start + 0.01)
      this.#row[i] = row
    }
    return Math.max(1, until.length)
  }

  /** From when each slot is free that it has used. */
  freeFrom(): number[] {
    return [...this.#until]
  }

  /** The slot that a branch that was granted then takes; undefined where all are taken. Where no slot was used twice, there may be more than are known. */
  slotFor(until: readonly number[], grantedAt: number): number | undefined {
    const earliest = Math.min(...until)
    const isFree = until.length > 0 && earliest <= grantedAt
    const mayGrow = until.length < MOST_SLOTS && this.branches <= this.#until.length
    if (!isFree && mayGrow) return until.length
    return Number.isFinite(earliest) ? until.indexOf(earliest) : undefined
  }

  /** The same with room for so many branches at once. */
  withSlots(slots: number): this {
    this.slots = Math.max(1, this.#until.length, slots)
    return this
  }

  /** How many touch the window. */
  countIn(from: number, to: number): number {
    let count = 0
    for (const { start, end } of this.#found) if (start < to && end >= from) count += 1
    return count
  }

  window(from: number, to: number, bins: number, asBlocks: boolean): TimelineLane {
    const { worker, branches, failed, slots } = this
    return {
      ...{ worker, branches, failed, slots },
      ...(asBlocks ? { blocks: this.#blocks(from, to) } : { bins: this.#bins(from, to, bins) }),
    }
  }

  #blocks(from: number, to: number): TimelineBlocks {
    const [group, index, start, end, again, row]: number[][] = [[], [], [], [], [], []]
    let status = ''
    for (const [i, found] of this.#found.entries()) {
      if (found.start >= to) break
      if (found.end < from) continue
      group?.push(found.group)
      index?.push(found.index)
      start?.push(found.start)
      end?.push(found.end)
      again?.push(found.again)
      row?.push(this.#row[i] ?? 0)
      status += LETTERS[found.status]
    }
    return {
      ...{ group: group ?? [], index: index ?? [], start: start ?? [], end: end ?? [] },
      ...{ status, again: again ?? [], row: row ?? [] },
    }
  }

  #bins(from: number, to: number, count: number): TimelineBins {
    const width = (to - from) / count
    const made = (): number[] => new Array<number>(count).fill(0)
    const bins = { busyMs: made(), ended: made(), failed: made(), again: made() }
    const add = (column: number[], bin: number, by: number): void => void (column[bin] = (column[bin] ?? 0) + by)
    for (const { start, end, status, again } of this.#found) {
      if (start >= to) break
      if (end < from) continue
      const [first, last] = [Math.max(start, from) - from, Math.min(end, to) - from]
      for (let bin = Math.floor(first / width); bin < count && bin * width < last; bin++)
        add(bins.busyMs, bin, Math.min(last, (bin + 1) * width) - Math.max(first, bin * width))
      if (end > to) continue
      const at = Math.min(count - 1, Math.floor(last / width))
      add(bins.ended, at, 1)
      if (isBad(status)) add(bins.failed, at, 1)
      if (again > 0) add(bins.again, at, 1)
    }
    return { ...bins, busyMs: bins.busyMs.map((ms) => Math.round(ms * 10) / 10) }
  }
}

const isBad = (status: ReportStatus): boolean => status === 'failed' || status === 'dead'

/** Of all groups of a run, by the numbers of their workers. @param groups with their numbers in the timeline */
export function lanesOf(groups: readonly { readonly times: GroupTimes; readonly spans: Spans }[]): readonly Lane[] {
  const found = new Map<number, Found[]>()
  let left = MOST_BRANCHES
  for (const [group, { times, spans }] of groups.entries()) {
    if ((left -= spans.timed.length) < 0) break
    for (const index of spans.timed) {
      const worker = spans.worker(index) ?? 0
      let lane = found.get(worker)
      if (lane === undefined) found.set(worker, (lane = []))
      lane.push({
        ...{ group, index, start: spans.start(index), end: spans.end(index) },
        status: times.status[index] ?? 'cancelled',
        again: (times.errors[index] ?? 0) + (times.losses[index] ?? 0),
      })
    }
  }
  return [...found].map(([worker, branches]) => new Lane(worker, branches)).sort((a, b) => a.worker - b.worker)
}

/** Lanes with few branches in the window are given as blocks, as far as there is room for all of these; the others as bins. */
export function windowOf(lanes: readonly Lane[], from: number, to: number, bins: number): readonly TimelineLane[] {
  let room = MOST_BLOCKS_IN_ALL
  const asBlocks = new Set<Lane>()
  const counted = lanes.map((lane) => ({ lane, count: lane.countIn(from, to) }))
  for (const { lane, count } of counted.sort((a, b) => a.count - b.count)) {
    if (count > MOST_BLOCKS || (room -= count) < 0) break
    asBlocks.add(lane)
  }
  return lanes.map((lane) => lane.window(from, to, bins, asBlocks.has(lane)))
}
