/**
 * Turns failed starts into lines of the log: at warn when the branch or step has failed, at debug when it will be started again. A task that
 * fails thousands of times a second must not fill the log: of many in one second, the last are counted in one line. Each level is counted by
 * itself, so that starts that are repeated take no line from those that failed for good.
 */
import { messageOf } from '../describe.js'
import type { Emitter, EventOf } from '../events.js'

/** Lines of one level in one second. */
const MOST_LINES = 100

/** Calls a function later, in the background; returns what cancels that. */
export type Later = (delayMs: number, fn: () => void) => () => void

/** Logs from now on; returns what ends that, and first logs what was omitted last. */
export function logFailures(emitter: Emitter, later: Later): () => void {
  const failed = new LinesOfLevel(emitter, later, 'warn', 'failed')
  const repeated = new LinesOfLevel(emitter, later, 'debug', 'failed, to be repeated,')
  const end = emitter.subscribe('start:failed', (event) => {
    ;(event.delayMs === undefined ? failed : repeated).add(event)
  })
  return () => {
    end()
    failed.logOmitted()
    repeated.logOmitted()
  }
}

class LinesOfLevel {
  readonly #emitter: Emitter
  readonly #later: Later
  readonly #level: 'warn' | 'debug'
  readonly #what: string
  #second = 0
  #lines = 0
  #omitted = 0
  #cancelTimer: (() => void) | undefined

  constructor(emitter: Emitter, later: Later, level: 'warn' | 'debug', what: string) {
    this.#emitter = emitter
    this.#later = later
    this.#level = level
    this.#what = what
  }

  add(event: EventOf<'start:failed'>): void {
    const at = event.at.getTime()
    const second = Math.floor(at / 1_000)
    if (second !== this.#second) {
      this.logOmitted()
      this.#second = second
      this.#lines = 0
    }
    this.#lines += 1
    if (this.#lines <= MOST_LINES) {
      this.#emitter.emit('log', { level: this.#level, ...lineOf(event) })
      return
    }
    this.#omitted += 1
    // nobody knows whether another start will fail
    this.#cancelTimer ??= this.#later((second + 1) * 1_000 - at, () => this.logOmitted())
  }

  logOmitted(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (this.#omitted === 0) return
    const message = `${this.#omitted} more starts ${this.#what} in the same second and have no line of their own`
    this.#omitted = 0
    this.#emitter.emit('log', { level: this.#level, message })
  }
}

function lineOf({ runId, path, task, label, attempt, workerId, what, delayMs, error }: EventOf<'start:failed'>): {
  readonly message: string
  readonly details: Error
} & Pick<EventOf<'start:failed'>, 'runId' | 'path' | 'task' | 'attempt' | 'workerId'> {
  const place = { runId, path, task, attempt, workerId, details: error }
  const why = messageOf(error)
  const who = label === undefined ? what : `${what} (${label})`
  if (delayMs === undefined) return { message: `${who} failed: ${why}`, ...place }
  return { message: `${who} failed, and is started again in ${delayMs} ms: ${why}`, ...place }
}
