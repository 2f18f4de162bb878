/**
 * The time of runs for people who look on and zoom: what was read of a run is kept for the next look, which reads only what came since. So a look at 100 000
 * branches that are over asks the store for a few numbers, whichever part of the time it wants and however many people look.
 */
import { LRUCache } from 'lru-cache'
import type { GroupStatus, RunRecord } from '../backend/backend.js'
import { StoredLabels } from '../engine/branch-labels.js'
import { forwardedGroups } from '../producer/forwarded-groups.js'
import { countsOf } from '../producer/group-counts.js'
import { notedOf, seenOf } from '../producer/seen-steps.js'
import type { ReportBranch, ReportGroup } from '../report/report.js'
import type {
  BranchPage,
  BranchQuery,
  ListedBranch,
  RunningBranch,
  Timeline,
  TimelineGroup,
  TimelineQuery,
} from '../report/timeline.js'
import { type Clock, elapsedMs } from '../time.js'
import { GroupReader, type GroupTimes, type TimesSource, Workers } from './group-times.js'
import { noteMissing, shownOf, stepOf } from './report.js'
import { criticalPath } from './report-critical.js'
import { type KnownGroup, knownGroup, labelsOfGroup } from './report-groups.js'
import { branchErrorOf } from './report-values.js'
import { type Lane, lanesOf, windowOf } from './timeline-lanes.js'
import { heldOf, withRunning } from './timeline-running.js'

/** Branches of all runs that are kept; a run's last look may be over it. */
const MOST_KEPT_BRANCHES = 400_000
const MOST_KEPT_RUNS = 32
/** A run is read again at the earliest after so long, and after so many times what reading it took. */
const LEAST_AGE_MS = 200
const REST = 5
const USUAL_BINS = 240
/** More than a group has. */
const MOST_BRANCHES = 2 ** 20
/** Stragglers that are named of each group, where there are few groups, and where there are many. */
const FEW_GROUPS = 40
const STRAGGLERS = [20, 3] as const

export class TimelineReader {
  readonly #source: TimesSource
  readonly #clock: Clock
  readonly #kept: LRUCache<string, RunTimes>

  constructor(source: TimesSource, clock: Clock) {
    this.#source = source
    this.#clock = clock
    this.#kept = new LRUCache({
      ...{ max: MOST_KEPT_RUNS, maxSize: MOST_KEPT_BRANCHES, maxEntrySize: Number.MAX_SAFE_INTEGER },
      sizeCalculation: (run) => Math.min(run.branches, MOST_KEPT_BRANCHES),
    })
  }

  /** Undefined where there is no such run. Bins and bounds are taken as the nearest that are allowed. */
  async read(runId: string, query: TimelineQuery = {}): Promise<Timeline | undefined> {
    return (await this.#look(runId))?.timeline(query)
  }

  /** Branches of a group that have ended. Undefined where there is no such run, or no group at the path. */
  async branches(runId: string, query: BranchQuery): Promise<BranchPage | undefined> {
    return (await this.#look(runId))?.branchPage(query)
  }

  async #look(runId: string): Promise<RunTimes | undefined> {
    const record = await this.#source.backend.inspect.run(runId)
    if (record === undefined) return undefined
    const known = this.#kept.get(runId)
    const run = known?.isOf(record) === true ? known : new RunTimes(this.#source, this.#clock, record)
    if (run !== known) this.#kept.set(runId, run) // before it is read: all who ask meanwhile share that
    await run.look(record)
    this.#kept.set(runId, run) // it has another size now
    return run
  }
}

/** One group as it was read last. */
interface Read {
  readonly reader: GroupReader
  status: GroupStatus
  known: KnownGroup
}

class RunTimes {
  readonly #source: TimesSource
  readonly #clock: Clock
  readonly #workers = new Workers()
  readonly #labels: StoredLabels
  readonly #groups = new Map<string, Read>()
  #record: RunRecord
  #shown: readonly Read[] = []
  #ended: readonly Lane[] = []
  #lanes: readonly Lane[] = []
  #running: readonly RunningBranch[] = []
  #steps: ReturnType<typeof stepOf>[] = []
  #notes: readonly string[] = []
  #now = 0
  #looked: { readonly done: Promise<void>; nextAt: number } | undefined

  constructor(source: TimesSource, clock: Clock, record: RunRecord) {
    this.#source = source
    this.#clock = clock
    this.#record = record
    this.#labels = new StoredLabels(source.backend.inspect, record.runId)
  }

  get branches(): number {
    return 1 + this.#shown.reduce((sum, { status }) => sum + status.size, 0)
  }

  /** False for another run of this id, and where groups may have been opened again. */
  isOf({ createdAt, retries, byHand }: RunRecord): boolean {
    const known = this.#record
    return createdAt === known.createdAt && retries === known.retries && byHand.length === known.byHand.length
  }

  /** Brings it up to date, unless that was done a moment ago. Looks at one time are one. */
  async look(record: RunRecord): Promise<void> {
    const began = elapsedMs(this.#clock)
    const isNews = record.state !== this.#record.state
    if (this.#looked === undefined || began >= this.#looked.nextAt || isNews) {
      this.#record = record
      // behind a look that is under way: two at once would add the same outcomes twice
      const before = this.#looked?.done.catch(() => undefined)
      const looked = {
        done: Promise.resolve(before).then(() => this.#read()),
        nextAt: Number.POSITIVE_INFINITY,
      }
      this.#looked = looked
      const over = (): void => {
        const took = elapsedMs(this.#clock) - began
        looked.nextAt = began + took + Math.max(LEAST_AGE_MS, REST * took)
      }
      looked.done.then(over, () => void (looked.nextAt = 0))
    }
    await this.#looked.done
  }

  async #read(): Promise<void> {
    const { backend, engine } = this.#source
    const record = this.#record
    this.#now = Math.round(await backend.inspect.now())
    const all = await backend.inspect.groups(record.runId)
    const forwarded = await forwardedGroups(all, engine.graphs)
    const notes: string[] = []
    const shown: Read[] = []
    let isChanged = false
    for (const status of shownOf(
      all.filter((group) => !forwarded.has(group)),
      notes,
    )) {
      const known = this.#groups.get(status.gid)
      const reader = known?.reader ?? (await GroupReader.open(this.#source, status))
      const found = await reader.readOn()
      if (found === 'gone' && !reader.hasRead) continue
      const isNew = known === undefined || found === 'more' || known.status.state !== status.state
      isChanged ||= isNew
      const read = isNew ? { reader, status, known: await this.#known(record, status, reader) } : known
      read.status = status
      this.#groups.set(status.gid, read)
      shown.push(read)
    }
    const { steps } = seenOf(await notedOf(engine, record.runId), record.state)
    this.#steps = steps.map((step) => stepOf(step, record.createdAt))
    isChanged ||= shown.length !== this.#shown.length
    this.#shown = shown
    if (isChanged)
      this.#ended = lanesOf(shown.map(({ reader, known }) => ({ times: reader.times, spans: known.spans })))
    const held = await heldOf(backend.inspect, shown, { workers: this.#workers, createdAt: record.createdAt })
    const { lanes, running } = withRunning(this.#ended, held, shown)
    this.#lanes = lanes
    this.#running = running
    noteMissing(record, shown.map(factsOf), notes)
    this.#notes = notes
  }

  async #known(record: RunRecord, status: GroupStatus, { times }: GroupReader): Promise<KnownGroup> {
    const labelOf = await labelsOfGroup(this.#labels, status, times.graph)
    return knownGroup(record, status, times, { workers: this.#workers, now: this.#now, labelOf })
  }

  timeline({ from, to, bins = USUAL_BINS }: TimelineQuery): Timeline {
    const { runId, state, createdAt, endedAt, retries, byHand } = this.#record
    const end = Math.max(1, (endedAt ?? this.#now) - createdAt)
    const isPart = from !== undefined || to !== undefined
    const begin = from ?? 0
    const until = Math.max(begin + 1, to ?? end)
    const count = Math.max(16, Math.min(600, Math.round(bins)))
    return {
      ...{ id: runId, state, createdAt, end, isOver: endedAt !== undefined },
      revision: `${retries}.${byHand.length}.${this.#shown.length}`,
      // once nothing is left of the groups, nobody is named by whom they were done, as for one who looks only now
      workers: this.#shown.length === 0 && this.#running.length === 0 ? [] : this.#workers.names,
      window: { from: begin, to: until, lanes: windowOf(this.#lanes, begin, until, count) },
      ...(!isPart && this.#whole()),
    }
  }

  branchPage({ path, only, index, limit = 50, skip = 0 }: BranchQuery): BranchPage | undefined {
    const read = this.#groups.get(`${this.#record.runId}/${path}`)
    if (read === undefined) return undefined
    const { reader, known } = read
    const { times } = reader
    const found = index === undefined ? matching(times, known, only) : times.status[index] === undefined ? [] : [index]
    const items = found.slice(skip, skip + limit).map((i): ListedBranch => {
      const branch = known.branchOf(i)
      const name = branch.worker === undefined ? undefined : this.#workers.names[branch.worker]
      const failure = times.failed.find(({ index: of }) => of === i)
      return {
        ...branch,
        ...(name !== undefined && { workerName: name }),
        ...(failure !== undefined && { error: branchErrorOf(failure.error) }),
      }
    })
    return { items, total: found.length }
  }

  #whole(): Pick<Timeline, 'groups' | 'steps' | 'critical' | 'running' | 'notes'> {
    const lastOf = ({ spans, branchOf }: KnownGroup): ReportBranch[] => {
      let last: number | undefined
      for (const i of spans.timed) if (last === undefined || spans.end(i) > spans.end(last)) last = i
      return last === undefined ? [] : [branchOf(last)]
    }
    const most = this.#shown.length <= FEW_GROUPS ? STRAGGLERS[0] : STRAGGLERS[1]
    const groups = this.#shown.map(
      (read): TimelineGroup => ({
        ...factsOf(read),
        stragglers: read.known.facts.stragglers.slice(0, most).map(read.known.branchOf),
      }),
    )
    const withLast = this.#shown.map((read): ReportGroup => ({ ...factsOf(read), branches: lastOf(read.known) }))
    const critical = criticalPath(this.#steps, withLast)
    return { groups, steps: this.#steps, critical, running: this.#running, notes: this.#notes }
  }
}

/** Of a group that nothing has ended of since, the counts may be others all the same. */
const factsOf = ({ known, status }: Read): KnownGroup['facts'] => ({ ...known.facts, counts: countsOf(status) })

/** Numbers of the branches that a person asks for. */
function matching(times: GroupTimes, { spans }: KnownGroup, only: BranchQuery['only']): readonly number[] {
  if (only === 'slow') {
    const keys = Float64Array.from(spans.timed, (i) => Math.floor(spans.durationMs(i)) * MOST_BRANCHES - i).sort()
    return Array.from(keys.reverse(), (key) => (MOST_BRANCHES - (key % MOST_BRANCHES)) % MOST_BRANCHES)
  }
  const found: number[] = []
  for (const [i, status] of times.status.entries()) {
    if (status === undefined) continue
    const isAgain = (times.errors[i] ?? 0) + (times.losses[i] ?? 0) > 0
    if (only === undefined || status === only || (only === 'again' && isAgain)) found.push(i)
  }
  return found
}
