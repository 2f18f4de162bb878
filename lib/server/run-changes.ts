/**
 * What has happened in a run between two looks at its status, as events. Pure. What was seen of a run is kept small, so that another server can go on
 * from there.
 */
import type { GroupProgress, RunProgress, RunStatus, RunStep, RunWait } from '../producer/types.js'
import { plainValue } from './typed-values.js'

export type RunChangeEvent = { readonly type: string; readonly runId: string } & Readonly<Record<string, unknown>>

/** What was seen of a run: plain JSON. */
export interface SeenRun {
  readonly createdAt: string
  readonly state: RunStatus['state']
  readonly retries: number
  readonly decided: number
  /** By path. */
  readonly groups: Readonly<Record<string, readonly [state: string, over: number]>>
  readonly steps: Readonly<Record<string, string>>
  readonly progress: Readonly<Record<string, string>>
  readonly waits: string
}

/** Groups and waits that are looked at one by one; of more the first and the last. */
const MOST_GROUPS = 400
const MOST_WAITS = 50
const ENDED: readonly string[] = ['succeeded', 'failed', 'skipped', 'cancelled']
const OVER: readonly string[] = ['completed', 'failed', 'cancelled']

/** A status with few enough groups, steps and waits for one frame. */
export function boundedStatus(status: RunStatus): RunStatus {
  return { ...endsOfGroups(status, MOST_GROUPS), waits: status.waits.slice(0, MOST_WAITS) }
}

/** Of many groups the first and the last. */
export const endsOfGroups = (status: RunStatus, most: number): RunStatus => ({
  ...status,
  groups: some(status.groups, most),
})

const some = <T>(items: readonly T[], most: number): readonly T[] =>
  items.length <= most ? items : [...items.slice(0, most / 2), ...items.slice(-most / 2)]

/** @param before undefined: nothing was seen yet; of an earlier run of the same id it does not count */
export function changesBetween(
  before: SeenRun | undefined,
  status: RunStatus,
): { readonly events: readonly RunChangeEvent[]; readonly seen: SeenRun } {
  const createdAt = status.createdAt.toISOString()
  const known = before?.createdAt === createdAt ? before : undefined
  const { groups, waits } = boundedStatus(status)
  const seen: SeenRun = {
    ...{ createdAt, state: status.state, retries: status.retries, decided: status.byHand.length },
    groups: Object.fromEntries(groups.map((group) => [group.path, [group.state, overOf(group)]])),
    steps: Object.fromEntries(status.steps.map((step) => [step.path, wordOf(step)])),
    progress: Object.fromEntries(status.progress.map((note) => [note.path, noteOf(note)])),
    waits: JSON.stringify(waits.map(waitWord)),
  }
  const state = stateEvents(known, status)
  const inside = [
    ...(known === undefined ? [] : status.byHand.slice(known.decided)).map(({ path, as }) => ({
      type: 'run:decided',
      path,
      as,
    })),
    ...status.steps.flatMap((step) => stepEvents(known?.steps[step.path], step)),
    ...groups.flatMap((group) => groupEvents(known?.groups[group.path], group)),
    ...status.progress
      .filter((note) => known?.progress[note.path] !== noteOf(note))
      .map(({ path, task, fraction, message, at }) => ({ type: 'run:progress', at, path, task, fraction, message })),
  ]
  const waiting = seen.waits === (known?.waits ?? '[]') ? [] : [{ type: 'run:waits', waits: waits.map(shortWait) }]
  // a run that is over, or waits, has done what it did before
  const isOver = OVER.includes(status.state)
  const isWaiting = status.state === 'waiting'
  const all = isOver
    ? [...inside, ...waiting, ...state]
    : [...(isWaiting ? [...inside, ...state] : [...state, ...inside]), ...waiting]
  // `runId` behind `type`, and dates as texts
  const events = all.map(({ type, ...facts }) => plainValue({ type, runId: status.id, ...facts }) as RunChangeEvent)
  return { events, seen }
}

interface Fact {
  readonly type: string
  readonly [name: string]: unknown
}

function stateEvents(known: SeenRun | undefined, status: RunStatus): readonly Fact[] {
  const { state: to, workflow, error, startedAt, endedAt, createdAt } = status
  if (known?.state === to && known.retries === status.retries) return []
  const at = endedAt ?? (known === undefined ? (startedAt ?? createdAt) : undefined)
  return [{ type: 'run:state', at, workflow, from: known?.state, to, error }]
}

const wordOf = ({ state, attempt }: RunStep): string => `${state} ${attempt}`

function stepEvents(before: string | undefined, step: RunStep): readonly Fact[] {
  if (before === wordOf(step)) return []
  const { path, task, state, attempt, startedAt, endedAt, error } = step
  const [, attemptBefore] = before?.split(' ') ?? []
  const started =
    attemptBefore === String(attempt) ? [] : [{ type: 'step:started', at: startedAt, path, task, attempt }]
  if (ENDED.includes(state))
    return [...started, { type: 'step:settled', at: endedAt, path, task, attempt, status: state, error }]
  return state === 'retrying' ? [...started, { type: 'step:retrying', path, task, attempt, error }] : started
}

const overOf = ({ succeeded, failed, dead, withdrawn }: GroupProgress): number => succeeded + failed + dead + withdrawn

function groupEvents(
  before: readonly [state: string, over: number] | undefined,
  group: GroupProgress,
): readonly Fact[] {
  const { path, state, width, ready, delayed, running, succeeded, failed, dead, withdrawn } = group
  const [stateBefore, overBefore = 0] = before ?? []
  const isOpen = state === 'open'
  const isNew = stateBefore === undefined || (isOpen && stateBefore !== 'open')
  return [
    ...(isNew ? [{ type: 'group:dispatched', path, width }] : []),
    ...(isOpen && overOf(group) !== (isNew ? 0 : overBefore)
      ? [{ type: 'group:progress', path, width, ready, delayed, running, succeeded, failed, dead }]
      : []),
    ...(!isOpen && stateBefore !== state
      ? [{ type: 'group:released', path, width, succeeded, failed: failed + dead, withdrawn }]
      : []),
  ]
}

const noteOf = ({ fraction, message, at }: RunProgress): string => `${at.getTime()} ${fraction} ${message ?? ''}`

const waitWord = ({ path, why, count, details: { refused } }: RunWait): string =>
  `${path} ${why} ${count} ${refused?.message ?? ''}`
const shortWait = ({
  path,
  why,
  count,
  since,
  task,
  prompt,
  details: { signal, index, refused },
}: RunWait): object => ({
  ...{ path, why, count, since, task, prompt, signal, index, refused },
})
