/** Calls with large replies, a few at a time: a server may close a connection that it has too much to send to. */
import type { Store } from '../store.js'

/** Replies on their way at once from a server that sends only so much to one client. */
export const MOST_LARGE = 2

interface Queue {
  running: number
  readonly waiting: (() => void)[]
}

const queues = new WeakMap<Store, Queue>()

/** Calls when fewer than `most` such calls of the store are under way. */
export async function inTurn<T>(store: Store, most: number, call: () => Promise<T>): Promise<T> {
  const queue = queues.get(store) ?? { running: 0, waiting: [] }
  queues.set(store, queue)
  if (queue.running >= most) await new Promise<void>((resolve) => queue.waiting.push(resolve))
  else queue.running += 1
  try {
    return await call()
  } finally {
    const next = queue.waiting.shift()
    if (next === undefined) queue.running -= 1
    else next()
  }
}
