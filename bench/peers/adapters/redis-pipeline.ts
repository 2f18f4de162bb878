/**
 * The floor for bytes: inputs are SET in one pipeline, the worker GETs them in one, SETs the results, and the producer GETs those. One
 * list entry each way says that the bytes are there. One worker, one run at a time; nothing else.
 */
import { Redis } from 'ioredis'
import type { Handle, Item, Place, Producer, Worker } from '../adapter.js'

const THERE = 'there'
const DONE = 'done'

async function setAll(redis: Redis, name: string, items: readonly Item[]): Promise<void> {
  const pipeline = redis.pipeline()
  for (const [i, item] of items.entries()) pipeline.set(`${name}${i}`, item)
  await pipeline.exec()
}

async function getAll(redis: Redis, name: string, count: number): Promise<readonly Item[]> {
  const pipeline = redis.pipeline()
  for (let i = 0; i < count; i += 1) pipeline.get(`${name}${i}`)
  const replies = (await pipeline.exec()) ?? []
  return replies.map(([, text]) => text as string)
}

export async function openProducer({ connection }: Place): Promise<Producer> {
  const redis = new Redis(connection)
  return {
    async run(items) {
      await setAll(redis, 'in', items)
      await redis.rpush(THERE, items.length)
      await redis.blpop(DONE, 0)
      return getAll(redis, 'out', items.length)
    },
    close: async () => redis.disconnect(),
  }
}

export async function openWorker({ connection }: Place, handle: Handle): Promise<Worker> {
  const redis = new Redis({ ...connection, maxRetriesPerRequest: null })
  let isClosed = false
  const work = async (): Promise<void> => {
    for (;;) {
      const items = await getAll(redis, 'in', Number((await redis.blpop(THERE, 0))?.[1]))
      await setAll(redis, 'out', await Promise.all(items.map(async (item) => handle(item))))
      await redis.rpush(DONE, 1)
    }
  }
  void work().catch((error: unknown) => {
    if (!isClosed) throw error
  })
  return {
    close: async () => {
      isClosed = true
      redis.disconnect()
    },
  }
}
