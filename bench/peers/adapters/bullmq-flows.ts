/**
 * BullMQ's own fan-out and join: a flow whose parent job waits for its children. The parent is worked on in the producer's process, which
 * reads the children's values. Finished jobs are removed, which costs less than keeping them, as BullMQ does by default.
 */
import { FlowProducer, Worker as BullWorker, type FlowJob } from 'bullmq'
import type { Handle, Place, Producer, Worker } from '../adapter.js'
import { CONCURRENCY } from './bullmq.js'

const PARENTS = 'parents'
const CHILDREN = 'children'

export async function openProducer({ socket }: Place): Promise<Producer> {
  const connection = { path: socket }
  const flows = new FlowProducer({ connection })
  let released: (results: readonly number[]) => void = () => undefined
  const parents = new BullWorker<unknown, undefined>(
    PARENTS,
    async (job) => {
      released(Object.values(await job.getChildrenValues<number>()))
    },
    { connection },
  )
  await Promise.all([flows.waitUntilReady(), parents.waitUntilReady()])
  return {
    async run(items) {
      const joined = new Promise<readonly number[]>((resolve) => (released = resolve))
      const children = items.map(
        (item): FlowJob => ({
          name: 'branch',
          queueName: CHILDREN,
          data: item,
          opts: { removeOnComplete: true },
        }),
      )
      await flows.add({ name: 'join', queueName: PARENTS, opts: { removeOnComplete: true }, children })
      return joined
    },
    close: async () => {
      await parents.close()
      await flows.close()
    },
  }
}

export async function openWorker({ socket }: Place, handle: Handle): Promise<Worker> {
  const worker = new BullWorker<number, number>(CHILDREN, async ({ data }) => handle(data), {
    connection: { path: socket },
    concurrency: CONCURRENCY,
  })
  await worker.waitUntilReady()
  return worker
}
