/** This library: `each(branch)` through `run`, and workers that know the task; fencing, events and metrics as they are by default. */
import type { Handle, Place, Producer, Worker } from '../systems.js'

export async function openProducer(_place: Place): Promise<Producer> {
  throw new Error('not yet')
}
export async function openWorker(_place: Place, _handle: Handle): Promise<Worker> {
  throw new Error('not yet')
}
