/**
 * When a worker's process did the last of its work: when its last handler ended, and when the first bytes after that left for Redis, which
 * hold the outcome. Taken below every system, in the socket, so that it means the same for all. Milliseconds of the machine's one
 * monotonic clock, the same in every process.
 */
import { Socket } from 'node:net'
import { setTimeout as elapse } from 'node:timers/promises'
import type { Handle } from './adapter.js'
import { resultOf, waitMsOf } from './loads.js'

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
  const ended = (): void => {
    handled += 1
    sentAt = 0
    endedAt = machineNow()
  }
  return {
    handle: (item) => {
      const waitMs = waitMsOf(item)
      if (waitMs !== undefined)
        return elapse(waitMs).then(() => {
          ended()
          return resultOf(item)
        })
      ended()
      return resultOf(item)
    },
    last: () => ({
      handled,
      handlerEndedAt: endedAt === 0 ? undefined : endedAt,
      sentAt: sentAt === 0 ? undefined : sentAt,
    }),
  }
}
