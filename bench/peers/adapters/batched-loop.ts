/**
 * The floor for many at a time: lists again, but up to 256 entries a command, each a record of 330 bytes as a queue's would be. No join
 * but a count, nothing survives the loss of a process.
 */
import { Redis } from 'ioredis'
import type { Handle, Item, Place, Producer, Worker } from '../adapter.js'

const ITEMS = 'items'
const RESULTS = 'results'
const BATCH = 256
const RECORD_BYTES = 330

const recordOf = (item: Item): string => JSON.stringify({ item }).padEnd(RECORD_BYTES)
const itemOf = (record: string): Item => (JSON.parse(record) as { item: Item }).item

export async function openProducer({ connection }: Place): Promise<Producer> {
  const redis = new Redis(connection)
  const blocking = new Redis({ ...connection, maxRetriesPerRequest: null })
  return {
    async run(items) {
      const pushed: Promise<number>[] = []
      for (let from = 0; from < items.length; from += BATCH)
        pushed.push(redis.rpush(ITEMS, ...items.slice(from, from + BATCH).map(recordOf)))
      const results: Item[] = []
      while (results.length < items.length) {
        const popped = await blocking.blmpop(0, 1, RESULTS, 'LEFT', 'COUNT', BATCH)
        for (const record of popped?.[1] ?? []) results.push(itemOf(record))
      }
      await Promise.all(pushed)
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
  const throwUnlessClosed = (error: unknown): void => {
    if (!isClosed) throw error
  }
  const work = async (): Promise<void> => {
    for (;;) {
      const popped = await redis.blmpop(0, 1, ITEMS, 'LEFT', 'COUNT', BATCH)
      const results = await Promise.all(
        (popped?.[1] ?? []).map(async (record) => recordOf(await handle(itemOf(record)))),
      )
      void redis.rpush(RESULTS, ...results).catch(throwUnlessClosed)
    }
  }
  void work().catch(throwUnlessClosed)
  return {
    close: async () => {
      isClosed = true
      redis.disconnect()
    },
  }
}
