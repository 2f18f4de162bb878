/** How branches end, and in which calls the store learns of it. */
import type { SettleRequest } from '../../lib/backend/backend.js'
import { GraflowError } from '../../lib/errors.js'
import type { EventOf } from '../../lib/events.js'
import type { ExecutorOptions } from '../../lib/executor/executor-options.js'
import { ExecutorStage, nextTurn, withCalls } from './executor-stage.js'

const error = new GraflowError('TASK_FAILED', 'no')

/** A stage whose settle calls are noted, and may be kept back or refused. */
async function openSettling(
  meet: (request: SettleRequest) => Promise<void> = () => Promise.resolve(),
  facts: Partial<ExecutorOptions> = {},
): Promise<{
  readonly stage: ExecutorStage
  readonly parts: ReturnType<ExecutorStage['parts']>
  /** Branches in each call, by range. */
  readonly calls: number[][]
}> {
  const stage = await ExecutorStage.open()
  const calls: number[][] = []
  const settle = async (request: SettleRequest): ReturnType<typeof stage.backend.settle> => {
    calls.push(request.ranges.map(({ kinds }) => kinds.length))
    await meet(request)
    return stage.backend.settle(request)
  }
  const backend = withCalls(stage.backend, { settle })
  return { stage, calls, parts: stage.parts({ maxConcurrentTasks: 100, backend, ...facts }) }
}

describe('branches that end', () => {
  it('in one turn are settled in one call, with what they gave', async () => {
    const { stage, parts, calls } = await openSettling()
    const [a, b] = [await stage.grant(2), await stage.grant(1)]
    parts.admit(a)
    parts.admit(b)
    parts.starter.startWaiting()
    for (const { succeed } of stage.starts) succeed('done')
    expect([calls, parts.settler.hasUnsettled, parts.settler.isAtRest]).toEqual([[], true, false])
    await nextTurn()
    expect([calls, parts.settler.isAtRest, parts.inFlight.isEmpty, parts.slots.free]).toEqual([
      [[2, 1]],
      true,
      true,
      100,
    ])
    expect([await stage.world.state(a.spec.gid), await stage.world.state(b.spec.gid)]).toEqual(['released', 'released'])
  })

  it('while two calls are under way travel together with the third', async () => {
    const answers: (() => void)[] = []
    const { stage, parts, calls } = await openSettling(
      () =>
        new Promise((resolve) => {
          answers.push(resolve)
        }),
    )
    parts.admit(await stage.grant(5))
    parts.starter.startWaiting()
    for (const { succeed } of stage.starts) {
      succeed()
      await nextTurn()
    }
    expect([calls, parts.settler.hasUnsettled]).toEqual([[[1], [1]], true])
    expect(new Set(parts.settler.grants()).size).toBe(1)
    answers[0]?.()
    await nextTurn()
    expect([calls, parts.settler.hasUnsettled]).toEqual([[[1], [1], [3]], false])
  })

  it('count by how they ended, each start with its time; one that is to be tried again is not an end', async () => {
    const { stage, parts } = await openSettling()
    parts.admit(await stage.grant(3, { attempts: 2 }))
    parts.starter.startWaiting()
    stage.clock.advance(10)
    stage.starts[0]?.succeed()
    const [, second, third] = stage.starts
    second?.keeper.failed(second.execution, { kind: 'failed', delayMs: 0, error })
    third?.keeper.failed(third.execution, { kind: 'retry', delayMs: 50, error })
    await nextTurn()
    expect(parts.settler.counters).toEqual({
      ...{ tasksProcessed: 2, tasksSucceeded: 1, tasksFailed: 1 },
      totalExecutionTimeMs: 30,
    })
    expect(await stage.world.queue()).toMatchObject({ delayed: 1, granted: 0 })
  })

  it('make an event each where somebody listens', async () => {
    const { stage, parts } = await openSettling()
    const events: unknown[] = []
    stage.emitter.subscribe('branch:settled', ({ index, status }) => events.push([index, status]))
    stage.emitter.subscribe('branch:retrying', ({ attempt, delayMs }) => events.push(['retry', attempt, delayMs]))
    parts.admit(await stage.grant(3, { attempts: 2 }))
    parts.starter.startWaiting()
    const [first, second, third] = stage.starts
    first?.succeed()
    second?.keeper.failed(second.execution, { kind: 'failed', delayMs: 0, error })
    third?.keeper.failed(third.execution, { kind: 'retry', delayMs: 50, error })
    expect(events).toEqual([
      [0, 'succeeded'],
      [1, 'failed'],
      ['retry', 1, 50],
    ])
  })

  it('whose output cannot be carried have not ended', async () => {
    const { stage, parts } = await openSettling()
    parts.admit(await stage.grant(1))
    parts.starter.startWaiting()
    const [start] = stage.starts
    expect(start?.keeper.succeeded(start.execution, 'too long', 2)).toBeGreaterThan(2)
    expect([parts.inFlight.started, parts.settler.isAtRest, parts.slots.free]).toEqual([1, true, 99])
  })
})

describe('a settle that fails', () => {
  it('is tried again range by range, so that one that the store refuses costs the others nothing', async () => {
    let refused = ''
    const { stage, parts, calls } = await openSettling(({ ranges }) =>
      ranges.some(({ gid }) => gid === refused) ? Promise.reject(new Error('refused')) : Promise.resolve(),
    )
    const [bad, good] = [await stage.grant(2), await stage.grant(1)]
    refused = bad.spec.gid
    parts.admit(bad)
    parts.admit(good)
    parts.starter.startWaiting()
    for (const { succeed } of stage.starts) succeed()
    await nextTurn()
    expect(calls).toEqual([[2, 1], [2], [1]])
    expect([await stage.world.state(bad.spec.gid), await stage.world.state(good.spec.gid)]).toEqual([
      'open',
      'released',
    ])
    expect(stage.errors).toMatchObject([{ message: 'refused' }, { message: 'refused' }])
    expect(parts.settler.isAtRest).toBe(true)
  })

  it('for good is told once nothing of its grant is in hand', async () => {
    let told = 0
    let isRefused = true
    const { stage, parts } = await openSettling(
      () => (isRefused ? Promise.reject(new Error('refused')) : Promise.resolve()),
      { onRefused: () => (told += 1) },
    )
    parts.admit(await stage.grant(2))
    parts.starter.startWaiting()
    stage.starts[0]?.succeed()
    await nextTurn()
    expect([stage.errors.length, told]).toEqual([1, 0])
    isRefused = false
    stage.starts[1]?.succeed()
    await nextTurn()
    expect([told, [...parts.settler.grants()]]).toEqual([1, []])
  })

  it('because the store was closed is no error of an executor that has stopped', async () => {
    const { stage, parts, calls } = await openSettling()
    parts.admit(await stage.grant(1))
    parts.admit(await stage.grant(1))
    parts.starter.startWaiting()
    parts.phase.stop()
    for (const { succeed } of stage.starts) succeed()
    await stage.backend.close()
    await nextTurn()
    expect([calls, stage.errors]).toEqual([[[1, 1]], []])
  })
})

describe('branches that are not wanted any more', () => {
  it('have their signal fired, free their slots and report nothing', async () => {
    const { stage, parts, calls } = await openSettling()
    const grant = parts.admit(await stage.grant(2))
    parts.starter.startWaiting()
    stage.starts[0]?.succeed()
    await nextTurn()
    expect(parts.settler.abort(grant, new Error('withdrawn'), 'unreported')).toBe(1)
    await nextTurn()
    const { cancel, hasEnded } = stage.starts[1]?.execution ?? {}
    expect([cancel?.reason?.message, hasEnded, grant.left, parts.slots.free]).toEqual(['withdrawn', true, 0, 100])
    expect(calls).toEqual([[1]])
  })

  it('go back unspent, with what they have saved, where they are to be released', async () => {
    const { stage, parts } = await openSettling()
    const grant = parts.admit(await stage.grant(1))
    parts.starter.startWaiting()
    stage.starts[0]?.execution.save('0/0/0', new Uint8Array([7]))
    expect(parts.settler.abort(grant, new Error('leaving'), 'released')).toBe(1)
    await nextTurn()
    expect(await stage.world.queue()).toEqual({ ready: 1, delayed: 0, granted: 0 })
    const saved = await stage.backend.inspect.saved(grant.grant.spec.runId, '0/0')
    expect(saved.paths).toEqual(['0/0/0', '0/0/0/!c'])
  })
})

describe('what was settled', () => {
  it('says that the store is to be asked where a group has a limit, since no notice is sent for the room under it', async () => {
    const { stage, parts } = await openSettling()
    parts.admit(await stage.grant(1))
    parts.admit(await stage.grant(1, { limit: 2 }))
    parts.starter.startWaiting()
    stage.clock.advance(50) // so that the task is not quick, before or after
    stage.starts[0]?.succeed()
    expect(parts.settler.flush()).toBe(false)
    stage.starts[1]?.succeed()
    expect([parts.settler.flush(), parts.settler.flush()]).toEqual([true, false])
  })

  it('says that the store is to be asked where a task turns out to be quick', async () => {
    const { stage, parts } = await openSettling()
    parts.admit(await stage.grant(2))
    parts.starter.startWaiting()
    stage.starts[0]?.succeed()
    expect(parts.settler.flush()).toBe(true)
    stage.starts[1]?.succeed()
    expect(parts.settler.flush()).toBe(false)
  })

  it('is told by task where somebody listens, with what the store refused', async () => {
    const { stage, parts } = await openSettling()
    const events: EventOf<'branches:settled'>[] = []
    stage.emitter.subscribe('branches:settled', (event) => events.push(event))
    parts.admit(await stage.grant(2))
    const lost = await stage.grant(1)
    await stage.world.settle(lost, 'released')
    await stage.world.takeOne(1) // under another token
    parts.admit(lost)
    parts.starter.startWaiting()
    stage.clock.advance(4)
    for (const { succeed } of stage.starts) succeed()
    await nextTurn()
    expect(events).toMatchObject([
      {
        ...{ workerId: 'w', succeeded: 2, failed: 0, retried: 0, fenced: 1 },
        tasks: [{ task: 'work', succeeded: 2, durationMs: 8 }],
      },
    ])
  })
})
