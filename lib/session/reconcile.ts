/**
 * Compares what the store thinks a session owns with what the process has in hand: what was reclaimed stops here, and grants whose answer
 * never arrived are released, so that another process starts them and no attempt is spent.
 */
import type { Backend, Grant, SettleRange } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'
import { EMPTY_BYTES } from '../values/packed-items.js'
import { counted } from './counted.js'
import type { HeldGrant, SessionGrants } from './holdings.js'

export interface ReconcileOptions {
  readonly backend: Pick<Backend, 'session' | 'settle' | 'inspect'>
  readonly session: string
  /** The process's name, for messages. */
  readonly baseId: string
  readonly emitter: Emitter
  readonly holdings: SessionGrants
}

/** `nosession`: the store does not know the session. `coming`: grants may be on their way, so nothing was compared. `more`: not all was. */
export type Reconciled = 'nosession' | 'coming' | 'more' | 'done'

/** @param isTakenForDead the store said so, and what is left of what was held has not been asked yet */
export async function reconcile(options: ReconcileOptions, isTakenForDead: boolean): Promise<Reconciled> {
  const { backend, session, holdings } = options
  const known = holdings.known()
  if (known === undefined) return 'coming'
  const answer = await backend.session({ kind: 'reconcile', session, known })
  if (answer.status === 'nosession') return 'nosession'
  if (answer.status !== 'reconciled') throw new GraflowError('INTERNAL', `a reconcile was answered ${answer.status}`)
  const lost = new Set(answer.lost)
  const gone = known.filter(({ token }) => lost.has(token))
  for (const grant of gone) holdings.reclaimed(grant)
  if (isTakenForDead) await logLostData(options, gone[0])
  const now = holdings.known()
  if (now === undefined) return 'more'
  const inHand = new Set(now.map(({ token }) => token))
  await release(
    options,
    answer.unknown.filter(({ token }) => !inHand.has(token)),
  )
  return answer.unknown.length > 0 ? 'more' : 'done' // the store names as many as one answer carries
}

/** A store that does not even know the run of a branch that was in hand a moment ago has lost more than a session. */
async function logLostData(
  { backend, emitter, baseId }: ReconcileOptions,
  grant: HeldGrant | undefined,
): Promise<void> {
  const [runId] = grant?.gid.split('/') ?? []
  if (runId === undefined || (await backend.inspect.run(runId)) !== undefined) return
  emitter.emit('log', {
    level: 'error',
    message:
      `the store does not know run ${runId}, of which ${baseId} held a branch: it seems to have lost its data ` +
      '(flushed, or restarted without a copy); what ran then is not started again',
    runId,
  })
}

async function release(
  { backend, session, emitter, holdings }: ReconcileOptions,
  grants: readonly Grant[],
): Promise<void> {
  if (grants.length === 0) return
  for (const { spec, token } of grants) holdings.reclaimed({ gid: spec.gid, token }) // it may come yet
  const ranges = grants.map(
    ({ spec, token, indexes }): SettleRange => ({
      gid: spec.gid,
      token,
      indexes,
      kinds: Array.from(indexes, () => 'released'),
      values: { bytes: EMPTY_BYTES, ends: new Uint32Array(indexes.length) },
    }),
  )
  // One by one: together they may be more than a call carries.
  for (const range of ranges) await backend.settle({ session, ranges: [range] })
  emitter.emit('log', { level: 'info', message: `released ${counted(grants.length, 'grant')} whose answer was lost` })
}
