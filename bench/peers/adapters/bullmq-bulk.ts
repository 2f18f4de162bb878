/**
 * BullMQ without its join: jobs are added in bulk, and the producer counts the events of their completion, each of which brings its
 * result. What was counted is lost with the producer.
 */
import { Queue, QueueEvents, Worker as BullWorker } from 'bullmq'
import type { Handle, Item, Place, Producer, Worker } from '../adapter.js'
import { CONCURRENCY } from './slots.js'

const QUEUE = 'branches'
/** Jobs in one call of addBulk. */
const BULK = 1_000

export async function openProducer({ connection }: Place): Promise<Producer> {
  const queue = new Queue<Item, Item>(QUEUE, { connection, defaultJobOptions: { removeOnComplete: true } })
  const events = new QueueEvents(QUEUE, { connection })
  let completed: (result: number) => void = () => undefined
  events.on('completed', ({ returnvalue }) => completed(Number(returnvalue)))
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()])
  return {
    async run(items) {
      const results: Item[] = []
      const joined = new Promise<void>((resolve) => {
        completed = (result) => {
          if (results.push(result) === items.length) resolve()
        }
      })
      for (let from = 0; from < items.length; from += BULK)
        await queue.addBulk(items.slice(from, from + BULK).map((data) => ({ name: 'branch', data })))
      await joined
      return results
    },
    close: async () => {
      await events.close()
      await queue.close()
    },
  }
}

export async function openWorker({ connection }: Place, handle: Handle): Promise<Worker> {
  const worker = new BullWorker<Item, Item>(QUEUE, async ({ data }) => handle(data), {
    connection,
    concurrency: CONCURRENCY,
  })
  await worker.waitUntilReady()
  return worker
}
