/** This library: `each(branch)` through `run`, and workers that know the task; fencing, events and metrics on, all else as it is by default. */
import { connect, each, task, workflow } from 'graflow'
import { Worker as GraflowWorker } from 'graflow/worker'
import type { Handle, Item, Place, Producer, Worker } from '../adapter.js'
import { CONCURRENCY } from './slots.js'

const flowsOf = (handle: Handle) => {
  const branch = task('branch', (item: Item) => handle(item))
  return { all: workflow('fan-out', each(branch)), settled: workflow('settled', each(branch).settled()) }
}

export async function openProducer({ url }: Place): Promise<Producer> {
  // Workers run the branches: here the task is a name.
  const { all, settled } = flowsOf(() => {
    throw new Error('a branch ran in the producer’s process')
  })
  const graflow = await connect(url, { logLevel: 'warn' })
  return {
    run: (items) => graflow.run(all, items),
    outcomes: async (items) =>
      (await graflow.run(settled, items)).map((outcome) =>
        outcome.status === 'succeeded' ? outcome.value : textOf(outcome.error),
      ),
    close: () => graflow.close(),
  }
}

/** What the handler said. */
const textOf = ({ cause, message }: Error): string => (cause instanceof Error ? cause.message : message)

export async function openWorker({ url }: Place, handle: Handle): Promise<Worker> {
  const worker = new GraflowWorker({
    redisUrl: url,
    tasks: Object.values(flowsOf(handle)),
    maxConcurrentTasks: CONCURRENCY,
    logLevel: 'warn',
    metricsPort: 0, // any that is free
    metricsHost: '127.0.0.1',
  })
  await worker.start()
  return { close: () => worker.stop() }
}
