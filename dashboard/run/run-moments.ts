/** The states that a run went through, in order: what the store tells, and what the page saw. */
import { count } from '../format.js'
import type { RunStatus } from '../wire.js'

/** A state that the page saw the run go into. */
export interface SeenState {
  readonly state: string
  readonly at: number
}

export interface Moment {
  readonly word: string
  readonly state: string
  readonly at: number
}

/** What this needs of the status of a run. */
export type RunPast = Pick<RunStatus, 'createdAt' | 'startedAt' | 'endedAt' | 'state' | 'byHand' | 'retries'>

const isOver = ({ endedAt }: Pick<RunPast, 'endedAt'>): boolean => endedAt !== undefined

/** What a look at a run adds to what was seen: an end that was left by a retry, and the state that it is in. Its last end the store tells. */
export function changeSeen(before: RunPast, after: RunPast, now: number): readonly SeenState[] {
  const isAgain = before.retries !== after.retries
  if (before.state === after.state && !isAgain) return []
  const left = isOver(before) && isAgain ? [{ state: before.state, at: new Date(before.endedAt ?? now).getTime() }] : []
  return isOver(after) ? left : [...left, { state: after.state, at: now }]
}

export function momentsOf(run: RunPast, seen: readonly SeenState[]): readonly Moment[] {
  const { createdAt, startedAt, endedAt, state, byHand, retries } = run
  const time = (text: string): number => new Date(text).getTime()
  const begun = time(startedAt ?? createdAt)
  const ended = endedAt === undefined ? Infinity : time(endedAt)
  const moments: Moment[] = [{ word: 'created', state: 'pending', at: time(createdAt) }]
  if (startedAt !== undefined) moments.push({ word: 'started', state: 'running', at: begun })
  for (const one of byHand) moments.push({ word: `${one.path} decided by hand`, state: one.as, at: time(one.at) })
  // the page saw it by its own clock, and somewhat late
  for (const { state: word, at } of seen) moments.push({ word, state: word, at: Math.min(Math.max(at, begun), ended) })
  if (endedAt !== undefined) {
    const after = retries === 0 ? '' : ` after ${retries === 1 ? 'a retry' : `${count(retries)} retries`}`
    moments.push({ word: `${state}${after}`, state, at: ended })
  }
  return moments.sort((a, b) => a.at - b.at)
}
