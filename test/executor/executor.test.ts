/** When the store is asked for branches, and how the executor comes to rest: its parts together, with an engine that only notes. */
import type { AcquireAnswer, AcquireRequest, Backend, SettleRequest } from '../../lib/backend/backend.js'
import { Executor } from '../../lib/executor/executor.js'
import type { ExecutorOptions } from '../../lib/executor/executor-options.js'
import { ExecutorStage, nextTurn, withCalls } from './executor-stage.js'

const DISTANT = { distant: { random: () => 0 } }

/** Lets all go on that waits for nothing but promises. */
async function microtasks(): Promise<void> {
  for (let i = 0; i < 100; i += 1) await Promise.resolve()
}

interface Opened {
  readonly stage: ExecutorStage
  readonly executor: Executor
  /** Calls of acquire. */
  readonly asked: AcquireRequest[]
}

/** @param meet stands between executor and store */
async function openExecutor(
  facts: Partial<ExecutorOptions> = {},
  meet: (request: AcquireRequest, backend: Backend) => Promise<AcquireAnswer> = (request, backend) =>
    backend.acquire(request),
): Promise<Opened> {
  const stage = await ExecutorStage.open()
  const asked: AcquireRequest[] = []
  const acquire = (request: AcquireRequest): Promise<AcquireAnswer> => {
    asked.push(request)
    return meet(request, stage.backend)
  }
  const backend = withCalls(stage.backend, { acquire })
  return { stage, asked, executor: new Executor(stage.options({ backend, ...facts })) }
}

describe('an executor', () => {
  it('asks for as many branches as it has free slots, and again for each that is over', async () => {
    const { stage, executor, asked } = await openExecutor({ maxConcurrentTasks: 3 })
    const gid = await stage.offer(4)
    executor.wake()
    await nextTurn()
    expect([asked.map(({ max }) => max), stage.starts.length, executor.inFlight, executor.freeSlots]).toEqual([
      [3],
      3,
      3,
      0,
    ])
    stage.starts[0]?.succeed()
    await nextTurn()
    expect([asked.map(({ max }) => max), stage.starts.length]).toEqual([[3, 1], 4])
    for (const { succeed } of stage.starts.slice(1)) succeed()
    await nextTurn()
    expect([await stage.world.state(gid), executor.inFlight]).toEqual(['released', 0])
    expect(executor.counters).toMatchObject({ tasksProcessed: 4, tasksSucceeded: 4 })
  })

  it('asks once more when it is woken while it asks, however often', async () => {
    const { stage, executor, asked } = await openExecutor()
    executor.wake()
    executor.wake()
    executor.wake()
    await nextTurn()
    expect([asked.length, stage.errors]).toEqual([2, []])
  })

  it('acquires short tasks ahead from a distant store, and says which are short', async () => {
    const { stage, executor, asked } = await openExecutor({ maxConcurrentTasks: 1, ...DISTANT })
    await stage.offer(30)
    executor.wake()
    await nextTurn()
    stage.clock.advance(4)
    stage.starts[0]?.succeed()
    await nextTurn()
    const [first, second] = asked
    expect([first?.max, first?.quick, first?.startable]).toEqual([1, [], 1])
    expect([second?.max, second?.quick, second?.startable]).toEqual([6, ['work'], 1])
    expect([stage.starts.length, executor.waiting]).toEqual([2, 5])
  })

  it('sends what ends in one pass of the event loop to a distant store in one call, and what ends alone at once', async () => {
    const settles: number[] = []
    const stage = await ExecutorStage.open()
    const settle = (request: SettleRequest): ReturnType<Backend['settle']> => {
      settles.push(request.ranges.reduce((sum, { kinds }) => sum + kinds.length, 0))
      return stage.backend.settle(request)
    }
    const executor = new Executor(stage.options({ ...DISTANT, backend: withCalls(stage.backend, { settle }) }))
    await stage.offer(4)
    executor.wake()
    await nextTurn()
    const [last, ...others] = stage.starts
    for (const { succeed } of others) {
      succeed()
      await microtasks()
    }
    expect(settles).toEqual([])
    await nextTurn()
    expect(settles).toEqual([3])
    last?.succeed()
    await microtasks()
    expect([settles, executor.inFlight]).toEqual([[3, 1], 0])
  })

  it('asks a distant store that has promised a notice only once it is notified, or for the slow check', async () => {
    const { stage, executor, asked } = await openExecutor({ maxConcurrentTasks: 2, ...DISTANT })
    const missed: number[] = []
    stage.emitter.subscribe('wakeup:missed', ({ count }) => missed.push(count))
    executor.wake()
    await nextTurn()
    expect(asked).toHaveLength(1)
    await executor.settled() // a turn
    await nextTurn()
    expect(asked).toHaveLength(1)
    await stage.offer(1) // its notice is lost
    stage.clock.advance(4_999)
    await nextTurn()
    expect(asked).toHaveLength(1)
    stage.clock.advance(1)
    await nextTurn()
    expect([asked.length, stage.starts.length, missed]).toEqual([2, 1, [1]])
  })

  it('does not forget a notice that finds no slot free', async () => {
    const { stage, executor, asked } = await openExecutor({ maxConcurrentTasks: 1, ...DISTANT })
    await stage.offer(1)
    executor.wake()
    await nextTurn()
    stage.clock.advance(50) // not quick
    const [first] = stage.starts
    first?.keeper.suspend()
    await nextTurn()
    expect(asked).toHaveLength(2) // nothing more: the store promises a notice
    await first?.keeper.resume()
    await stage.offer(1)
    executor.wake()
    await nextTurn()
    expect(asked).toHaveLength(2)
    first?.succeed()
    await nextTurn()
    expect([asked.length, stage.starts.length]).toEqual([3, 2])
  })

  it('asks with the settle that makes room under the limit of a group, since no notice is sent for that', async () => {
    const { stage, executor, asked } = await openExecutor(DISTANT)
    await stage.offer(2, { limit: 1 })
    executor.wake()
    await nextTurn()
    const before = asked.length
    stage.clock.advance(50) // not quick
    await executor.settled() // a turn
    await nextTurn()
    expect([asked.length - before, stage.starts.length]).toEqual([0, 1])
    stage.starts[0]?.succeed()
    await nextTurn()
    expect([asked.length - before, stage.starts.length]).toEqual([1, 2])
  })

  it('asks a distant store again when the next branch is due', async () => {
    const { stage, executor, asked } = await openExecutor(DISTANT)
    await stage.offer(1, { attempts: 2 })
    const grant = await stage.world.takeOne(1)
    await stage.world.settle(grant, 'retry', [0], { delaysMs: [700] })
    const missed: number[] = []
    stage.emitter.subscribe('wakeup:missed', ({ count }) => missed.push(count))
    executor.wake()
    await nextTurn()
    stage.clock.advance(699)
    await nextTurn()
    expect([asked.length, stage.starts.length]).toEqual([1, 0])
    stage.clock.advance(1)
    await nextTurn()
    expect([asked.length, stage.starts.length, missed]).toEqual([2, 1, []])
  })

  it('asks again half a second after a call that failed', async () => {
    let failures = 1
    const { stage, executor, asked } = await openExecutor(DISTANT, (request, backend) => {
      if (failures === 0) return backend.acquire(request)
      failures -= 1
      return Promise.reject(new Error('away'))
    })
    await stage.offer(1)
    executor.wake()
    await nextTurn()
    expect([stage.errors, asked.length]).toMatchObject([[{ message: 'away' }], 1])
    stage.clock.advance(500)
    await nextTurn()
    expect([asked.length, stage.starts.length]).toEqual([2, 1])
  })

  it('says so when the store does not know its session, and asks again later', async () => {
    let unknown = 0
    const { stage, executor, asked } = await openExecutor({ ...DISTANT, onNoSession: () => (unknown += 1) }, () =>
      Promise.resolve({ status: 'nosession' }),
    )
    executor.wake()
    await nextTurn()
    expect([unknown, asked.length]).toEqual([1, 1])
    stage.clock.advance(500)
    await nextTurn()
    expect([unknown, asked.length]).toEqual([2, 2])
    await executor.stop(new Error('end'))
    stage.clock.advance(10_000)
    await nextTurn()
    expect(asked).toHaveLength(2)
  })

  it('does not know what it has in hand while a call is under way', async () => {
    let answer: () => void = () => undefined
    const { stage, executor } = await openExecutor({}, async (request, backend) => {
      await new Promise<void>((resolve) => {
        answer = resolve
      })
      return backend.acquire(request)
    })
    const gid = await stage.offer(1)
    expect(executor.known()).toEqual([])
    executor.wake()
    expect(executor.known()).toBeUndefined()
    answer()
    await nextTurn()
    answer()
    await nextTurn()
    expect(executor.known()).toMatchObject([{ gid }])
  })
})

describe('an executor that is to be quiet', () => {
  it('releases what was not started, asks for nothing more, and is drained when the rest is settled', async () => {
    const { stage, executor, asked } = await openExecutor({ maxConcurrentTasks: 1, ...DISTANT })
    await stage.offer(30)
    executor.wake()
    await nextTurn()
    stage.starts[0]?.succeed() // quick: some are acquired ahead
    await nextTurn()
    expect(executor.waiting).toBeGreaterThan(0)
    let isDrained = false
    executor.quiet()
    void executor.drained().then(() => {
      isDrained = true
    })
    await nextTurn()
    expect(await stage.world.queue()).toEqual({ ready: 28, delayed: 0, granted: 1 })
    expect([executor.waiting, executor.inFlight, isDrained, asked.length]).toEqual([0, 1, false, 2])
    stage.starts[1]?.succeed()
    executor.wake()
    await nextTurn()
    expect([executor.inFlight, isDrained, asked.length]).toEqual([0, true, 2])
  })

  it('is drained at once when it has nothing', async () => {
    const { executor } = await openExecutor()
    executor.quiet()
    await expect(executor.drained()).resolves.toBeUndefined()
  })
})

describe('an executor that stops', () => {
  it('aborts what runs, releases it unspent, and resolves when the store has it', async () => {
    const { stage, executor } = await openExecutor({ maxConcurrentTasks: 2 })
    await stage.offer(2)
    executor.wake()
    await nextTurn()
    await executor.stop(new Error('leaving'))
    expect(stage.starts.map(({ execution }) => execution.cancel.reason?.message)).toEqual(['leaving', 'leaving'])
    expect(await stage.world.queue()).toEqual({ ready: 2, delayed: 0, granted: 0 })
    expect([executor.inFlight, executor.freeSlots]).toEqual([0, 2])
  })
})

describe('an executor that has stopped', () => {
  it('leaves no timer behind', async () => {
    const timers = new Set<() => void>()
    const stage = await ExecutorStage.open()
    const after = (ms: number, fn: () => void): (() => void) => {
      const fire = (): void => {
        timers.delete(fire)
        fn()
      }
      timers.add(fire)
      const cancel = stage.clock.after(ms, fire, true)
      return () => {
        timers.delete(fire)
        cancel()
      }
    }
    const clock = { now: () => stage.clock.now(), after }
    const executor = new Executor(stage.options({ clock, maxConcurrentTasks: 1, ...DISTANT }))
    executor.receivePushed(await stage.grant(2))
    expect(timers.size).toBe(2) // to confirm the grant, and to release the branch that waits
    stage.starts[0]?.keeper.suspend()
    await nextTurn() // the second branch is started
    stage.starts[1]?.keeper.suspend()
    await nextTurn() // the store is asked, and has nothing
    expect(timers.size).toBe(3)
    await executor.stop(new Error('end'))
    expect(timers.size).toBe(0)
  })
})

describe('branches of a group that is withdrawn', () => {
  it('are aborted, started or not, and report nothing', async () => {
    const { stage, executor } = await openExecutor({ maxConcurrentTasks: 1, ...DISTANT })
    const gid = await stage.offer(30)
    executor.wake()
    await nextTurn()
    stage.starts[0]?.succeed()
    await nextTurn()
    expect([executor.inFlight, executor.waiting > 0]).toEqual([1, true])
    executor.abortGroup(gid, new Error('decided'))
    expect([executor.inFlight, executor.waiting, stage.starts[1]?.execution.cancel.reason?.message]).toEqual([
      ...[0, 0],
      'decided',
    ])
    expect(executor.known()).toEqual([])
  })

  it('are those of one grant where its token is named; it counts as refused', async () => {
    const { stage, executor } = await openExecutor({ maxConcurrentTasks: 4 })
    const fenced: number[] = []
    stage.emitter.subscribe('branches:settled', (event) => fenced.push(event.fenced))
    await stage.offer(2)
    executor.wake()
    await nextTurn()
    const [grant] = executor.known() ?? []
    if (grant === undefined) throw new Error('expected a grant')
    executor.abortGroup(grant.gid, new Error('lost'), 'another')
    expect([executor.inFlight, fenced]).toEqual([2, []])
    executor.abortGroup(grant.gid, new Error('lost'), grant.token)
    expect([executor.inFlight, fenced]).toEqual([0, [2]])
  })

  it('are not started when they arrive later', async () => {
    let answer: () => void = () => undefined
    const { stage, executor } = await openExecutor({}, async (request, backend) => {
      const answered = await backend.acquire(request)
      await new Promise<void>((resolve) => {
        answer = resolve
      })
      return answered
    })
    const gid = await stage.offer(2)
    executor.wake()
    await nextTurn()
    executor.abortGroup(gid, new Error('decided'))
    answer()
    await nextTurn()
    expect([stage.starts, executor.freeSlots]).toEqual([[], 4])
  })

  it('are refused when the store has pushed them and lost them on their way', async () => {
    const { stage, executor } = await openExecutor(DISTANT)
    const grant = await stage.grant(1)
    executor.abortGroup(grant.spec.gid, new Error('lost'), grant.token)
    executor.receivePushed(grant)
    expect(stage.starts).toEqual([])
    executor.receivePushed(await stage.grant(1))
    expect(stage.starts).toHaveLength(1)
  })
})
