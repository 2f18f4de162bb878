/** Workers on a real Redis in the test's own process, and a client whose log can be read: nothing hides what they do from the test. */
import type { AnyNode, ConnectOptions, EventOf, Graflow } from 'graflow'
import { Worker, type WorkerOptions } from 'graflow/worker'
import { openRedisBackend } from '../../lib/backend/redis/redis-backend.js'
import { Unreported } from '../../lib/engine/cancellation.js'
import { Emitter } from '../../lib/events.js'
import { Executor } from '../../lib/executor/executor.js'
import { tasksOf } from '../../lib/flow/collect.js'
import { expressionOf } from '../../lib/flow/node.js'
import { DEFAULT_LIMITS } from '../../lib/options.js'
import { openSession, type Session } from '../../lib/session/open-session.js'
import { systemClock as clock, systemId as newId, systemRandom as random } from '../../lib/time.js'
import { keepRenewalThread } from './kept-thread.js'
import type { Stage } from './redis-stage.js'

export interface LocalWorker {
  readonly session: Session
  readonly emitter: Emitter
}

/** A worker that takes work on the stage's Redis, or on another address of it, when this resolves. */
export async function localWorker(
  stage: Stage,
  id: string,
  flows: readonly AnyNode[],
  address = stage.server.url,
): Promise<LocalWorker> {
  const expressions = flows.map((flow) => expressionOf(flow))
  const emitter = new Emitter(() => clock.now())
  const queues = ['default', 'runs']
  const tasks = expressions.flatMap((expression) => [...tasksOf(expression).keys()])
  await keepRenewalThread()
  const session = await openSession({
    store: await openRedisBackend({ address, keyPrefix: stage.prefix }),
    ...{ clock, random, newId, emitter, limits: DEFAULT_LIMITS },
    info: { baseId: id, role: 'worker', metadata: {}, queues, capabilities: [], tasks },
  })
  const { engine, holdings } = session
  for (const expression of expressions) engine.registry.learn(expression)
  const executor = new Executor({
    ...session.forExecutor,
    ...{ distant: { random }, maxConcurrentTasks: 4, queues },
    driveRun: (grant, k) => void holdings.driveTaken(grant, k),
    onError: () => undefined,
  })
  session.serve(executor)
  stage.onEnd(async () => {
    const reason = new Unreported(`worker ${id} ends`, 'CLOSED')
    await holdings.stop(reason, reason)
    await session.close()
  })
  return { session, emitter }
}

/** A worker with all that `Worker` does, in the test's own process; its handlers find the stage's ledger. Ready when this resolves. */
export async function workerHere(
  stage: Stage,
  workerId: string,
  tasks: readonly AnyNode[],
  options: WorkerOptions = {},
): Promise<Worker> {
  Object.assign(process.env, stage.ledger.env)
  await keepRenewalThread()
  const worker = new Worker({
    ...{ redisUrl: stage.server.url, keyPrefix: stage.prefix, logLevel: 'silent', workerId, tasks: [...tasks] },
    ...options,
  })
  await worker.start()
  stage.onEnd(() => worker.stop())
  return worker
}

/** A client of the stage, and what it logs from now on. */
export async function loggedClient(
  stage: Stage,
  options: ConnectOptions = {},
): Promise<{ readonly graflow: Graflow; readonly log: EventOf<'log'>[] }> {
  const graflow = await stage.client(options)
  const log: EventOf<'log'>[] = []
  graflow.events.subscribe('log', (event) => log.push(event))
  return { graflow, log }
}
