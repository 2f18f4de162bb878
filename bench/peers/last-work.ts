/**
 * When a worker's process did the last of its work: when its last handler ended, and when the first bytes after that left for Redis, which
 * hold the outcome. Taken below every system, in the socket, so that it means the same for all. Milliseconds of the machine's one
 * monotonic clock, the same in every process.
 */
import { Socket } from 'node:net'
import type { Handle } from './adapter.js'

/** What `performance.now()` is behind that clock in this process: of several looks the one with the least time between its two halves. */
const OFFSET_MS = Math.max(
  ...Array.from({ length: 100 }, () => Number(process.hrtime.bigint()) / 1e6 - performance.now()),
)

/** Now, by the clock that all processes of this machine share. */
export const machineNow = (): number => performance.now() + OFFSET_MS

export interface LastWork {
  readonly handled: number
  /** Undefined before the first. */
  readonly handlerEndedAt: number | undefined
  /** Undefined while nothing was sent since. */
  readonly sentAt: number | undefined
}

/** The branch's handler, and what it notes. Call it once a process. */
export function watchedHandler(): { readonly handle: Handle; readonly last: () => LastWork } {
  let handled = 0
  let endedAt = 0
  let sentAt = 0
  const { write } = Socket.prototype
  Socket.prototype.write = function (this: Socket, ...args: Parameters<typeof write>) {
    if (sentAt === 0) sentAt = machineNow()
    return write.apply(this, args)
  } as typeof write // it has several forms, all of which are passed on as they are
  return {
    handle: (item) => {
      handled += 1
      sentAt = 0
      endedAt = machineNow()
      return resultOf(item)
    },
    last: () => ({
      handled,
      handlerEndedAt: endedAt === 0 ? undefined : endedAt,
      sentAt: sentAt === 0 ? undefined : sentAt,
    }),
  }
}

/** What the branch makes of its item. */
export const resultOf = (item: number): number => 2 * item + 1

/**
 * Sees to it that there is exactly one result of each item from 0 to `count` (without).
 * @throws Error when one is missing, is there twice, or is none
 */
export function checkResults(results: readonly number[], count: number): void {
  const seen = new Uint8Array(count)
  for (const result of results) {
    const item = (result - 1) / 2
    if (!Number.isInteger(item) || item < 0 || item >= count || seen[item] !== 0)
      throw new Error(`expected one result of each of ${count} branches, got ${result}${seen[item] ? ' twice' : ''}`)
    seen[item] = 1
  }
  if (results.length !== count) throw new Error(`expected ${count} results, got ${results.length}`)
}
