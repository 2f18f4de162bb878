/**
 * bee-queue: jobs are saved in bulk, and the producer counts the messages that say they succeeded, each with its result. Messages are
 * published and not kept, and what was counted is lost with the producer.
 */
import BeeQueue from 'bee-queue'
import type { Handle, Item, Place, Producer, Worker } from '../adapter.js'

const QUEUE = 'branches'
/** Jobs in one call of saveAll. */
const BULK = 1_000
/** Jobs that a worker has under way at once: one was slower, and between 16 and 200 no difference stood out. */
const CONCURRENCY = 64

export async function openProducer({ connection }: Place): Promise<Producer> {
  const queue = new BeeQueue<{ readonly item: Item }>(QUEUE, {
    redis: connection,
    isWorker: false,
    storeJobs: false,
    removeOnSuccess: true,
  })
  let succeeded: (result: Item) => void = () => undefined
  queue.on('job succeeded', (_id, result: Item) => succeeded(result))
  await queue.ready()
  return {
    async run(items) {
      const results: Item[] = []
      const joined = new Promise<void>((resolve) => {
        succeeded = (result) => {
          if (results.push(result) === items.length) resolve()
        }
      })
      for (let from = 0; from < items.length; from += BULK) {
        const failed = await queue.saveAll(items.slice(from, from + BULK).map((item) => queue.createJob({ item })))
        for (const error of failed.values()) throw error
      }
      await joined
      return results
    },
    close: () => queue.close(),
  }
}

export async function openWorker({ connection }: Place, handle: Handle): Promise<Worker> {
  const queue = new BeeQueue<{ readonly item: Item }>(QUEUE, {
    redis: connection,
    getEvents: false,
    storeJobs: false,
    removeOnSuccess: true,
  })
  await queue.ready()
  queue.process<Item>(CONCURRENCY, async ({ data }) => handle(data.item))
  return { close: () => queue.close() }
}
