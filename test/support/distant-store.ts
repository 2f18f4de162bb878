/**
 * A client whose store is as far away as a server would be: answers and notices come turns of the event loop later, each by its own way,
 * so that news of a branch may be here before the branch. Also shows what must be nothing once all runs are over.
 */
import { operatorsOf } from '../../lib/admin/operators.js'
import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import type { Backend } from '../../lib/backend/backend.js'
import { openSession } from '../../lib/session/open-session.js'
import { DEFAULT_LIMITS } from '../../lib/options.js'
import { Emitter } from '../../lib/events.js'
import { Client } from '../../lib/producer/client.js'
import { systemClock, systemId, type Clock, type Random } from '../../lib/time.js'
import { Executor } from '../../lib/executor/executor.js'
import { turn } from './waits.js'
import { wired, type Wire } from './wired-backend.js'

/** What a process holds on to. */
export interface Held {
  readonly inFlight: number
  readonly timers: number
  readonly orphans: number
  readonly free: number
}

export interface Distant {
  readonly client: Client
  readonly backend: Backend
  readonly errors: unknown[]
  /** Asks after all that was under way has come to rest. */
  held(): Promise<Held>
}

/** @param turns how many turns of the event loop a call of this name takes each way, or a `notice`; asked anew for each */
export async function openDistant({
  slots,
  turns,
  random,
  wrap = (backend) => backend,
  isProcess = false,
}: {
  readonly slots: number
  readonly turns: (what: string) => number
  readonly random: Random
  /** Puts faults of its own between client and store. */
  readonly wrap?: (backend: Backend) => Backend
  /** As in a worker process: acquires ahead, and driven runs have slots. */
  readonly isProcess?: boolean
}): Promise<Distant> {
  const { clock, timers } = countingClock()
  const errors: unknown[] = []
  const emitter = new Emitter(() => clock.now())
  const near = openMemoryBackend({ clock })
  const backend = wrap(distant(near, turns))
  const session = await openSession({
    ...{ store: backend, isEmbedded: true, clock, random, newId: systemId, emitter, limits: DEFAULT_LIMITS },
    info: { baseId: 'distant', role: 'client', metadata: {}, queues: 'all', capabilities: 'all', tasks: 'all' },
  })
  const { engine, holdings } = session
  const client = new Client({ session, operators: operatorsOf, retentionMs: 60_000 })
  const loop = new Executor({
    ...session.forExecutor,
    ...{ maxConcurrentTasks: slots, queues: 'all', capabilities: 'all' },
    ...(isProcess && { distant: { random }, runsHoldSlots: true }),
    driveRun: (grant, k, slot) => void holdings.driveTaken(grant, k, slot),
    onError: (error) => errors.push(error),
  })
  session.serve(loop)
  return {
    client,
    backend: near,
    errors,
    async held() {
      for (let i = 0; i < 200; i += 1) await turn()
      return { inFlight: loop.inFlight, timers: timers(), orphans: engine.orphans, free: loop.freeSlots }
    },
  }
}

/** A store so many turns of the event loop away; its sweeps are as near as ever. */
function distant(near: Backend, turns: (what: string) => number): Backend {
  const travel = async (what: string): Promise<void> => {
    for (let left = turns(what); left > 0; left -= 1) await turn()
  }
  const wire: Wire = {
    async call(name, send) {
      await travel(name)
      const answer = await send()
      await travel(name)
      return answer
    },
    news: (deliver) => void travel('notice').then(deliver),
  }
  return wired(near, wire, {
    sweep: (session) => near.sweep(session),
    caughtUp: (runId) => near.caughtUp(runId),
  })
}

/** The system's clock, and how many of its timers wait that would keep a process alive. */
function countingClock(): { readonly clock: Clock; readonly timers: () => number } {
  let count = 0
  const clock: Clock = {
    now: () => systemClock.now(),
    after(delayMs, fn, isBackground = false) {
      if (isBackground) return systemClock.after(delayMs, fn, true)
      let isOver = false
      const end = (): void => {
        if (!isOver) count -= 1
        isOver = true
      }
      count += 1
      const cancel = systemClock.after(delayMs, () => {
        end()
        fn()
      })
      return () => {
        end()
        cancel()
      }
    },
  }
  return { clock, timers: () => count }
}
