/** The floor for one at a time: an item is one entry of a list, its result one of another; each is popped by itself. No join, no fencing. */
import { Redis } from 'ioredis'
import type { Handle, Item, Place, Producer, Worker } from '../adapter.js'

const ITEMS = 'items'
const RESULTS = 'results'

export async function openProducer({ connection }: Place): Promise<Producer> {
  const redis = new Redis(connection)
  const blocking = new Redis({ ...connection, maxRetriesPerRequest: null })
  return {
    async run(items) {
      const pushed = Promise.all(items.map((item) => redis.rpush(ITEMS, item)))
      const results: Item[] = []
      while (results.length < items.length) {
        const popped = await blocking.blpop(RESULTS, 0)
        results.push(Number(popped?.[1]))
      }
      await pushed
      return results
    },
    close: async () => {
      redis.disconnect()
      blocking.disconnect()
    },
  }
}

export async function openWorker({ connection }: Place, handle: Handle): Promise<Worker> {
  const redis = new Redis({ ...connection, maxRetriesPerRequest: null })
  let isClosed = false
  const work = async (): Promise<void> => {
    // One connection: the result is on its way before the next item is asked for.
    for (;;) {
      const popped = await redis.blpop(ITEMS, 0)
      void redis.rpush(RESULTS, await handle(Number(popped?.[1]))).catch(throwUnlessClosed)
    }
  }
  const throwUnlessClosed = (error: unknown): void => {
    if (!isClosed) throw error
  }
  void work().catch(throwUnlessClosed)
  return {
    close: async () => {
      isClosed = true
      redis.disconnect()
    },
  }
}
