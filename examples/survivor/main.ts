/**
 * A submitted run whose driver is killed with kill -9 in the middle of a step: another worker goes on with it. What was finished is not run again;
 * the step under way is, as attempt 2. Needs a redis-server.
 */
import { join } from 'node:path'
import { connect } from 'graflow'
import { findServer, HOW_TO_INSTALL, LocalCluster } from '../support/local-cluster.js'
import { runProgram } from '../support/program.js'
import { delivery } from './tasks.js'

async function main(_: readonly string[], signal: AbortSignal): Promise<number> {
  const server = findServer()
  if (server === undefined) throw new Error(`this needs redis-server 7 or newer on PATH (${HOW_TO_INSTALL})`)
  const tasks = join(import.meta.dirname, 'tasks.ts')
  await using cluster = await LocalCluster.start({ server, tasks, workers: 2, maxConcurrentTasks: 4, signal })
  await using graflow = await connect(cluster.url, { keyPrefix: cluster.keyPrefix, logLevel: 'error' })

  let killed = 0
  let killedAt = 0
  graflow.events.subscribe('run:progress', ({ path, message }) => {
    process.stdout.write(`step ${path} runs in process ${message}\n`)
    if (killed !== 0) return
    killed = Number(message)
    killedAt = performance.now()
    process.kill(killed, 'SIGKILL')
    process.stdout.write(`killed process ${killed}\n`)
  })
  // Nobody needs to wait: any process can attach to the run by its id.
  const run = await graflow.submit(delivery, { id: 7 }, { id: 'delivery-7' })
  const steps = await run.result()
  const tookMs = performance.now() - killedAt
  for (const { step, pid, attempt } of steps) {
    process.stdout.write(
      `${step.padEnd(8)} attempt ${attempt} in ${pid === killed ? 'the killed process' : 'the other one'}\n`,
    )
  }
  process.stdout.write(`delivered ${tookMs.toFixed(0)} ms after the kill\n`)
  return 0
}

await runProgram('survivor', main)
