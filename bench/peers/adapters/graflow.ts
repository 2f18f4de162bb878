/** This library: `each(branch)` through `run`, and workers that know the task; fencing, events and metrics on, all else as it is by default. */
import { connect, each, task, workflow } from 'graflow'
import { Worker as GraflowWorker } from 'graflow/worker'
import type { Handle, Place, Producer, Worker } from '../adapter.js'

const flowOf = (handle: Handle) => workflow('fan-out', each(task('branch', (item: number) => handle(item))))

export async function openProducer({ socket }: Place): Promise<Producer> {
  // Workers run the branches: here the task is a name.
  const flow = flowOf(() => {
    throw new Error('a branch ran in the producer’s process')
  })
  const graflow = await connect(`unix://${socket}`, { logLevel: 'warn' })
  return { run: (items) => graflow.run(flow, items), close: () => graflow.close() }
}

export async function openWorker({ socket }: Place, handle: Handle): Promise<Worker> {
  const worker = new GraflowWorker({
    redisUrl: `unix://${socket}`,
    tasks: [flowOf(handle)],
    logLevel: 'warn',
    metricsPort: 0, // any that is free
    metricsHost: '127.0.0.1',
  })
  await worker.start()
  return { close: () => worker.stop() }
}
