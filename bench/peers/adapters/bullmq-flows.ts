/**
 * BullMQ's own fan-out and join: a flow whose parent job waits for its children. The parent is worked on in the producer's process, which
 * reads the children's values. Finished jobs are removed, which costs less than keeping them, as BullMQ does by default.
 */
import { randomUUID } from 'node:crypto'
import { FlowProducer, Worker as BullWorker, type FlowJob, type Job } from 'bullmq'
import type { Handle, Item, Place, Producer, Worker } from '../adapter.js'
import { CONCURRENCY } from './slots.js'

const PARENTS = 'parents'
const CHILDREN = 'children'

export async function openProducer({ connection }: Place): Promise<Producer> {
  const flows = new FlowProducer({ connection })
  /** By parent. */
  const released = new Map<string, (results: readonly Item[]) => void>()
  const parents = new BullWorker<{ readonly isSettled: boolean }, undefined>(
    PARENTS,
    async (job) => {
      released.get(String(job.id))?.(await resultsOf(job, job.data.isSettled))
      released.delete(String(job.id))
    },
    { connection, concurrency: CONCURRENCY },
  )
  await Promise.all([flows.waitUntilReady(), parents.waitUntilReady()])
  const run = async (items: readonly Item[], isSettled: boolean): Promise<readonly Item[]> => {
    const jobId = randomUUID()
    const joined = new Promise<readonly Item[]>((resolve) => released.set(jobId, resolve))
    const opts = { removeOnComplete: true, ...(isSettled && { removeOnFail: true, ignoreDependencyOnFailure: true }) }
    const children = items.map((data): FlowJob => ({ name: 'branch', queueName: CHILDREN, data, opts }))
    const parent = { name: 'join', queueName: PARENTS, data: { isSettled }, opts: { removeOnComplete: true, jobId } }
    await flows.add({ ...parent, children })
    return joined
  }
  return {
    run: (items) => run(items, false),
    outcomes: (items) => run(items, true),
    close: async () => {
      await parents.close()
      await flows.close()
    },
  }
}

async function resultsOf(parent: Job, isSettled: boolean): Promise<readonly Item[]> {
  const values = Object.values(await parent.getChildrenValues<Item>())
  return isSettled ? [...values, ...Object.values(await parent.getIgnoredChildrenFailures())] : values
}

export async function openWorker({ connection }: Place, handle: Handle): Promise<Worker> {
  const worker = new BullWorker<Item, Item>(CHILDREN, async ({ data }) => handle(data), {
    connection,
    concurrency: CONCURRENCY,
  })
  await worker.waitUntilReady()
  return worker
}
