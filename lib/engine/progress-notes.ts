/**
 * The last `ctx.progress` of each path, as people see it. Notes of this process are written together, seldom, and never waited for: what a handler
 * says costs it nothing. Hides when they are written and how.
 */
import type { Backend, ProgressNote } from '../backend/backend.js'
import { MOST_PROGRESS_NOTES, progressMark } from '../backend/kept.js'
import { readNote } from '../backend/progress-notes.js'
import type { Clock } from '../time.js'
import { decode, encode } from '../values/codec.js'
import type { Execution } from './execution.js'

/** What a handler said. */
export interface Progress {
  /** In the run. */
  readonly path: string
  readonly task: string
  /** Of the branch, where it has one. */
  readonly label?: string
  /** From 0 to 1. */
  readonly fraction: number
  readonly message: string | undefined
}
/** With when that was, in milliseconds since the epoch. */
export interface SeenProgress extends Progress {
  readonly at: number
}
interface Unwritten extends SeenProgress {
  readonly fence: number
}

/** From the first note until it is written; between two writes. */
const SOON_MS = 250
const PAUSE_MS = 1_000
const MOST_MESSAGE = 1_000
/** Where the notes of a run lie. */
export const PROGRESS_MARKS: readonly string[] = Array.from({ length: MOST_PROGRESS_NOTES }, (_, slot) =>
  progressMark(slot),
)

export interface ProgressNotesOptions {
  readonly backend: Pick<Backend, 'progress' | 'onReconnected'>
  readonly clock: Clock
}

/** One a process. */
export class ProgressNotes {
  readonly #options: ProgressNotesOptions
  readonly #runs = new Map<string, Map<string, Unwritten>>()
  #isPlanned = false
  #pauseMs = SOON_MS

  constructor(options: ProgressNotesOptions) {
    this.#options = options
  }

  note({ facts: { runId, fence } }: Execution, progress: Progress): void {
    const { path, message } = progress
    const notes = this.#runs.get(runId) ?? new Map<string, Unwritten>()
    this.#runs.set(runId, notes)
    notes.delete(path) // the order is that of the last notes
    const at = this.#options.clock.now()
    notes.set(path, { ...progress, message: message?.slice(0, MOST_MESSAGE).toWellFormed(), fence, at })
    const [oldest] = notes.keys()
    if (notes.size > MOST_PROGRESS_NOTES && oldest !== undefined) notes.delete(oldest)
    this.#plan()
  }

  /** Of a run, the latest first. @param outputs what the store has at `PROGRESS_MARKS` */
  read(runId: string, outputs: readonly (Uint8Array | undefined)[]): readonly SeenProgress[] {
    const found = new Map<string, SeenProgress>()
    for (const bytes of outputs) {
      const note = bytes === undefined ? undefined : seenIn(bytes)
      if (note !== undefined) found.set(note.path, note)
    }
    for (const [path, { fence: _, ...note }] of this.#runs.get(runId) ?? []) found.set(path, note)
    return [...found.values()].sort((a, b) => b.at - a.at).slice(0, MOST_PROGRESS_NOTES)
  }

  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    // where the store is this process, writing costs little, and no timer is left behind
    if (this.#options.backend.onReconnected === undefined) queueMicrotask(() => this.#write())
    else this.#options.clock.after(this.#pauseMs, () => this.#write(), true)
  }

  #write(): void {
    this.#isPlanned = false
    this.#pauseMs = this.#runs.size > 0 ? PAUSE_MS : SOON_MS
    for (const [runId, notes] of this.#runs) {
      const written = [...notes.values()]
      const request = { runId, notes: written.map(asNote) }
      // until it is written, who asks here finds it here
      const forget = (): void => this.#forget(runId, written)
      this.#options.backend.progress(request).then(forget, forget)
    }
    if (this.#pauseMs === PAUSE_MS && this.#options.backend.onReconnected !== undefined)
      this.#options.clock.after(PAUSE_MS, () => (this.#pauseMs = SOON_MS), true)
  }

  /** What was said meanwhile stays. */
  #forget(runId: string, written: readonly Unwritten[]): void {
    const notes = this.#runs.get(runId)
    for (const note of written) if (notes?.get(note.path) === note) notes.delete(note.path)
    if (notes?.size === 0) this.#runs.delete(runId)
  }
}

const asNote = ({ path, fence, task, fraction, message, label }: Unwritten): ProgressNote => ({
  ...{ path, fence },
  value: encode([task, fraction, message ?? null, ...(label === undefined ? [] : [label])]),
})

function seenIn(bytes: Uint8Array): SeenProgress | undefined {
  const note = readNote(bytes)
  try {
    const fields: unknown = note === undefined ? undefined : decode(note.value)
    if (note === undefined || !Array.isArray(fields)) return undefined
    const [task, fraction, message, label] = fields as readonly unknown[]
    if (typeof task !== 'string' || typeof fraction !== 'number') return undefined
    return {
      ...{ path: note.path, task, ...(typeof label === 'string' && { label }), fraction },
      ...{ message: typeof message === 'string' ? message : undefined, at: note.at },
    }
  } catch {
    return undefined // of a newer release
  }
}
