/** A worker on a real Redis in the test's own process, and a client whose log can be read: nothing hides what they do from the test. */
import { hostname } from 'node:os'
import type { AnyNode, ConnectOptions, EventOf, Graflow } from 'graflow'
import type { Backend } from '../../lib/backend/backend.js'
import { retrying } from '../../lib/backend/retrying.js'
import { openRedisBackend } from '../../lib/backend/redis/redis-backend.js'
import { Membership } from '../../lib/session/membership.js'
import { Unreported } from '../../lib/engine/cancellation.js'
import { Engine } from '../../lib/engine/engine.js'
import { DEFAULT_LIMITS } from '../../lib/options.js'
import { Emitter } from '../../lib/events.js'
import { expressionOf } from '../../lib/flow/node.js'
import { systemClock as clock, systemId as newId, systemRandom as random } from '../../lib/time.js'
import { Holdings } from '../../lib/session/holdings.js'
import { Executor } from '../../lib/executor/executor.js'
import type { Stage } from './redis-stage.js'

const TTL_MS = 3_000

export interface LocalWorker {
  readonly backend: Backend
  readonly engine: Engine
  readonly emitter: Emitter
  readonly membership: Membership
  readonly loop: Executor
}

/** A worker that takes work on the stage's Redis when this resolves. */
export async function localWorker(stage: Stage, id: string, flows: readonly AnyNode[]): Promise<LocalWorker> {
  const near = await openRedisBackend({ address: stage.server.url, keyPrefix: stage.prefix })
  const backend = retrying(near, { clock, random })
  const emitter = new Emitter(() => clock.now())
  const session = `${id}:${newId()}`
  const engine = new Engine({ backend, clock, random, emitter, limits: DEFAULT_LIMITS, workerId: id, newId })
  for (const flow of flows) engine.registry.learn(expressionOf(flow))
  const held = new Holdings({ backend, engine, emitter, session })
  const loop: Executor = new Executor({
    ...{ backend, engine, clock, emitter, session, workerId: id, newId, distant: { random } },
    ...{ maxConcurrentTasks: 4, queues: ['default', 'runs'], capabilities: [] },
    driveRun: (grant, k) => held.driveSubmitted(grant, k),
    onNoSession: () => membership.lost(),
    onError: () => undefined,
  })
  held.useExecutor(loop)
  const stopListening = near.listen(session, (notice) => held.handleNotice(notice))
  const membership = await Membership.open({
    ...{ backend: near, session, ttlMs: TTL_MS, clock, random, emitter },
    ...{ barrierWaits: engine.barrierWaits, graphs: engine.graphs },
    info: {
      ...{ baseId: id, hostname: hostname(), pid: process.pid, role: 'worker', metadata: {} },
      ...{ queues: ['default', 'runs'], capabilities: [], tasks: engine.registry.taskNames() },
    },
    holdings: {
      known: () => held.known(),
      reclaimed: ({ gid, token }) => held.handleNotice({ kind: 'lost', gid, token }),
      onReopened: () => loop.wake(),
    },
  })
  loop.wake()
  stage.onEnd(async () => {
    const reason = new Unreported(`worker ${id} ends`, 'CLOSED')
    await held.stop(reason, reason)
    stopListening()
    await membership.close()
    await backend.close()
  })
  return { backend: near, engine, emitter, membership, loop }
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
