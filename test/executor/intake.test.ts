/** What becomes of a grant on its arrival. */
import type { Grant } from '../../lib/backend/backend.js'
import type { PreparedGrant } from '../../lib/engine/prepared-grant.js'
import { GraflowError } from '../../lib/errors.js'
import type { ExecutorOptions } from '../../lib/executor/executor-options.js'
import { Intake } from '../../lib/executor/intake.js'
import { PendingGrants } from '../../lib/executor/pending-grants.js'
import { QueueShares } from '../../lib/executor/queue-shares.js'
import type { HeldSlot } from '../../lib/executor/slots.js'
import { valuesOf } from '../../lib/values/value-lists.js'
import { WaitingRuns } from '../../lib/executor/waiting-runs.js'
import { ExecutorStage, nextTurn, prepare } from './executor-stage.js'

interface Opened {
  readonly stage: ExecutorStage
  readonly parts: ReturnType<ExecutorStage['parts']>
  readonly pending: PendingGrants
  readonly shares: QueueShares
  readonly runs: WaitingRuns
  readonly intake: Intake
}

async function openIntake(
  facts: Partial<ExecutorOptions> = {},
  prepared: (grant: Grant) => PreparedGrant | Promise<PreparedGrant> = prepare,
  limits: { readonly itemsPerCall?: number } = {},
): Promise<Opened> {
  const stage = await ExecutorStage.open(limits)
  const { engine } = stage.options()
  const options = { engine: { ...engine, prepare: prepared }, ...facts }
  const parts = stage.parts(options)
  const pending = new PendingGrants(() => undefined)
  const shares = new QueueShares(['default'], new Map([['default', 10]]))
  const runs = new WaitingRuns(stage.options(options), { ...parts, pending })
  const intake = new Intake(stage.options(options), { ...parts, shares, pending, runs })
  return { stage, parts, pending, shares, runs, intake }
}

/** The branches of the queue that count for its limit. */
const held = ({ shares }: Opened): number | undefined => shares.of('default')?.held

describe('a grant', () => {
  it('whose graph is known is started at once, as far as there are slots', async () => {
    const opened = await openIntake({ maxConcurrentTasks: 2 })
    const { stage, intake, parts, pending } = opened
    intake.take(await stage.grant(3))
    expect([stage.starts.length, parts.starter.waiting, held(opened), pending.isNone]).toEqual([2, 1, 3, true])
  })

  it('whose graph is not known yet is pending until it is', async () => {
    let give: () => void = () => undefined
    const opened = await openIntake(
      {},
      (grant) =>
        new Promise((resolve) => {
          give = () => resolve(prepare(grant))
        }),
    )
    const { stage, intake, pending } = opened
    intake.take(await stage.grant(3))
    expect([stage.starts.length, intake.preparing, pending.isNone, held(opened)]).toEqual([0, 3, false, 3])
    give()
    await nextTurn()
    expect([stage.starts.length, intake.preparing, pending.isNone, held(opened)]).toEqual([3, 0, true, 3])
  })

  it('that was withdrawn on its way is not started', async () => {
    const opened = await openIntake()
    const { stage, intake, pending, parts } = opened
    const [byToken, byGroup] = [await stage.grant(2), await stage.grant(1)]
    pending.begin()
    pending.withdraw(byToken.token)
    pending.withdraw(byGroup.spec.gid)
    intake.take(byToken)
    intake.take(byGroup)
    expect([stage.starts, parts.inFlight.isEmpty, held(opened)]).toEqual([[], true, 0])
    pending.end()
    intake.take(byToken)
    expect(stage.starts).toHaveLength(2)
  })

  it('that arrives when the executor is quiet goes back unspent', async () => {
    const opened = await openIntake()
    const { stage, intake, parts } = opened
    parts.phase.quiet()
    intake.take(await stage.grant(2))
    await nextTurn()
    expect([stage.starts, parts.inFlight.isEmpty, held(opened)]).toEqual([[], true, 0])
    expect(await stage.world.queue()).toEqual({ ready: 2, delayed: 0, granted: 0 })
  })

  it.each([
    ['at once', (error: Error): never => raise(error)],
    ['later', (error: Error) => Promise.reject(error)],
  ])('that cannot be started, as is found %s, fails with the reason, in as many calls as it takes', async (_, fail) => {
    const reason = new GraflowError('NO_GRAPH', 'gone')
    const opened = await openIntake({}, () => fail(reason), { itemsPerCall: 2 })
    const { stage, intake, pending } = opened
    await stage.offer(2)
    const grant = await stage.world.takeOne(2)
    intake.take(grant)
    expect(pending.isNone).toBe(false)
    await nextTurn()
    await nextTurn()
    expect([pending.isNone, intake.preparing, held(opened), stage.errors]).toEqual([true, 0, 0, []])
    const page = await stage.backend.inspect.outcomes(grant.spec.gid, 0)
    expect(page?.state).toBe('released')
    const outcomes = page?.chunks.flatMap(({ kinds, values }) => kinds.map((kind, i) => [kind, valuesOf(values)[i]]))
    expect(outcomes).toMatchObject([
      ['failed', { code: 'NO_GRAPH' }],
      ['failed', { code: 'NO_GRAPH' }],
    ])
  })

  it('that cannot be started for an unknown reason fails as INTERNAL', async () => {
    const { stage, intake } = await openIntake({}, () => raise(new TypeError('odd')))
    const grant = await stage.grant(1)
    intake.take(grant)
    await nextTurn()
    const page = await stage.backend.inspect.outcomes(grant.spec.gid, 0)
    expect(page?.chunks.flatMap(({ values }) => valuesOf(values))).toMatchObject([
      { code: 'INTERNAL', message: expect.stringContaining('odd') as string },
    ])
  })
})

describe('a submitted run', () => {
  async function submitted(stage: ExecutorStage): Promise<Grant> {
    await stage.backend.open(stage.world.openRequest('submitted'))
    return stage.world.takeOne(1, { queues: ['runs'] })
  }

  it('is driven without a slot', async () => {
    const driven: unknown[] = []
    const { stage, intake, parts } = await openIntake({ driveRun: (grant, k, slot) => driven.push([grant, k, slot]) })
    const grant = await submitted(stage)
    intake.take(grant)
    expect([driven, parts.slots.free, parts.inFlight.isEmpty]).toEqual([[[grant, 0, undefined]], 4, true])
  })

  it('is driven with a slot where runs hold one, as soon as there is one', async () => {
    const slots: (HeldSlot | undefined)[] = []
    const { stage, intake, parts } = await openIntake({
      ...{ runsHoldSlots: true, maxConcurrentTasks: 1 },
      driveRun: (_grant, _k, slot) => slots.push(slot),
    })
    intake.take(await stage.grant(1))
    intake.take(await submitted(stage))
    expect(slots).toEqual([])
    stage.starts[0]?.succeed()
    expect([slots.length, parts.slots.free]).toEqual([1, 0])
    slots[0]?.end()
    expect(parts.slots.free).toBe(1)
  })

  /** One whose only slot a branch has. */
  async function openWaiting(): Promise<Opened & { readonly grant: Grant; readonly driven: unknown[] }> {
    const driven: unknown[] = []
    const opened = await openIntake({
      ...{ runsHoldSlots: true, maxConcurrentTasks: 1, distant: { random: () => 0 } },
      driveRun: ({ spec }) => driven.push(spec.runId),
    })
    const { stage, intake } = opened
    intake.take(await stage.grant(1))
    const grant = await submitted(stage)
    intake.take(grant)
    return { ...opened, grant, driven }
  }

  const stateOf = async ({ stage }: Opened): Promise<unknown> => (await stage.world.queue('runs'))?.ready

  it('is in hand while it waits for a slot', async () => {
    const opened = await openWaiting()
    const { runs, grant } = opened
    expect([runs.count, [...runs.grants()]]).toEqual([1, [{ gid: 'submitted', token: grant.token }]])
    opened.stage.starts[0]?.succeed()
    expect([runs.count, [...runs.grants()], opened.driven]).toEqual([0, [], ['submitted']])
  })

  it('goes back unspent when it has waited for 100 ms', async () => {
    const opened = await openWaiting()
    opened.stage.clock.advance(99)
    await nextTurn()
    expect([opened.runs.count, await stateOf(opened)]).toEqual([1, 0])
    opened.stage.clock.advance(1)
    await nextTurn()
    expect([opened.runs.count, opened.pending.isNone, await stateOf(opened)]).toEqual([0, true, 1])
    opened.stage.starts[0]?.succeed()
    expect(opened.driven).toEqual([])
  })

  it('goes back unspent when it waits, or arrives, as the process leaves', async () => {
    const opened = await openWaiting()
    opened.parts.phase.quiet()
    opened.runs.releaseAll()
    await nextTurn()
    expect([opened.runs.count, await stateOf(opened)]).toEqual([0, 1])
    opened.intake.take(await opened.stage.world.takeOne(1, { queues: ['runs'] }))
    await nextTurn()
    expect([opened.runs.count, await stateOf(opened), opened.driven]).toEqual([0, 1, []])
  })

  it('is not driven when it is withdrawn while it waits, or on its way', async () => {
    const opened = await openWaiting()
    opened.runs.withdraw('submitted', 'another token')
    expect(opened.runs.count).toBe(1)
    opened.runs.withdraw('submitted', opened.grant.token)
    expect(opened.runs.count).toBe(0)
    opened.pending.begin()
    opened.pending.withdraw('submitted')
    opened.intake.take(opened.grant)
    opened.stage.starts[0]?.succeed()
    expect([opened.runs.count, opened.driven]).toEqual([0, []])
  })
})

function raise(error: Error): never {
  throw error
}
