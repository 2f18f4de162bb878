/**
 * What a run waits for that was started with `durability`: that its writes are on the disk of the store, or on a replica, before it goes on. The store
 * writes in one order, so whoever confirms its own last write confirms all that it has read before: outcomes of other processes, too.
 */
import type { Backend, Durability } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'
import type { Clock } from '../time.js'

export interface DurabilityParts {
  readonly backend: Pick<Backend, 'confirm'>
  readonly clock: Clock
  readonly emitter: Emitter
}

/** Between two questions to a store that cannot say it now. */
const PAUSE_MS = 1_000

/** Before a run is opened. @throws GraflowError NOT_AVAILABLE where the store cannot promise it; NOT_DURABLE where it does not answer */
export async function mustBeDurable(
  backend: Pick<Backend, 'confirm'>,
  durability: Durability | undefined,
): Promise<void> {
  if (durability === undefined) return
  const answer = await (backend.confirm?.(durability) ?? NEITHER)
  if (answer.status === 'cannot') {
    throw new GraflowError('NOT_AVAILABLE', `run: durability: ${durability} is not available: ${answer.why}`, {
      details: { option: 'durability', durability },
    })
  }
  if (answer.status === 'late') throw notDurable('the run was not started', durability, answer.why)
}

/** Once a run was opened. @throws GraflowError NOT_DURABLE: it is there all the same, and repeating the start is safe */
export async function openedDurably(
  backend: Pick<Backend, 'confirm'>,
  runId: string,
  durability: Durability | undefined,
): Promise<void> {
  if (durability === undefined) return
  const answer = await (backend.confirm?.(durability) ?? NEITHER)
  if (answer.status !== 'ok')
    throw notDurable(`run ${runId} was started, and is in memory only`, durability, answer.why)
}

const NEITHER = Object.freeze({
  status: 'cannot',
  why: 'the embedded store keeps nothing on a disk and has no replica: connect to a Redis',
} as const)

const notDurable = (what: string, durability: Durability, why: string): GraflowError =>
  new GraflowError('NOT_DURABLE', `${what}: ${why}; try again`, { details: { durability } })

/** The driver of a run goes on once this resolves: it waits for as long as the store cannot say so, and logs why. */
export async function durable(
  { backend, clock, emitter }: DurabilityParts,
  runId: string,
  durability: Durability | undefined,
  isStopped: () => boolean,
): Promise<void> {
  if (durability === undefined || backend.confirm === undefined) return
  for (let why = ''; !isStopped(); ) {
    const answer = await backend.confirm(durability)
    if (answer.status === 'ok') return
    if (answer.why !== why) {
      const message = `run ${runId} waits until its writes are ${durability === 'fsync' ? 'on the disk of Redis' : 'on a replica'}: ${answer.why}`
      emitter.emit('log', { level: 'warn', message, runId })
      why = answer.why
    }
    await new Promise<void>((resolve) => {
      clock.after(PAUSE_MS, resolve)
    })
  }
}
