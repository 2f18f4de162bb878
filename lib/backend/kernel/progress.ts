/** How far handlers of a run are: the last note at each of the paths that were noted last. */
import { pack } from '../../values/packed-items.js'
import type { ProgressRequest } from '../backend.js'
import { MOST_PROGRESS_NOTES, progressMark } from '../kept.js'
import { noteOf, readNote } from '../progress-notes.js'
import { save } from './runs.js'
import type { KernelState } from './state.js'

/** A path that was noted before keeps its place; a new one takes a free place, or that of the oldest note. */
export function noteProgress(state: KernelState, { runId, notes }: ProgressRequest): 'ok' | 'gone' {
  const run = state.runs.get(runId)
  if (run === undefined) return 'gone'
  const known = Array.from({ length: MOST_PROGRESS_NOTES }, (_, slot) => {
    const bytes = run.saved.get(progressMark(slot))
    return bytes === undefined ? undefined : readNote(bytes)
  })
  for (const { path, fence, value } of notes) {
    let slot = known.findIndex((note) => note?.path === path)
    if (slot >= 0 && (known[slot]?.fence ?? 0) > fence) continue
    if (slot < 0) slot = known.indexOf(undefined)
    if (slot < 0) slot = known.reduce((at, note, i) => ((note?.at ?? 0) < (known[at]?.at ?? 0) ? i : at), 0)
    const note = { fence, at: state.wallNow, path, value }
    known[slot] = note
    save(state, run, { paths: [`!${progressMark(slot)}`], values: pack([noteOf(note)]) })
  }
  return 'ok'
}
