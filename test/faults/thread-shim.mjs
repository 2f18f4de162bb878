/** Preloaded by a worker whose threads are to end: says when one is started, and ends all of them at SIGUSR2. */
import { syncBuiltinESMExports } from 'node:module'
import threads from 'node:worker_threads'

const started = []
const { Worker } = threads

threads.Worker = class extends Worker {
  constructor(...args) {
    super(...args)
    started.push(this)
    console.log(`started thread ${started.length}`)
  }
}
syncBuiltinESMExports()

process.on('SIGUSR2', () => {
  for (const [i, thread] of started.entries()) void thread.terminate().then(() => console.log(`ended thread ${i + 1}`))
})
