/** When branches are started: in order, as far as there are slots, in portions; and what becomes of those that wait for long. */
import type { Pauses } from '../../lib/engine/pauses.js'
import { newShare } from '../../lib/executor/slots.js'
import { ExecutorStage, nextTurn } from './executor-stage.js'

const DISTANT = { distant: { random: () => 0 } }

describe('branches that wait', () => {
  it('are started in order of arrival, as far as there are slots, and go on with what comes free', async () => {
    const stage = await ExecutorStage.open()
    const { starter, slots, admit } = stage.parts({ maxConcurrentTasks: 3 })
    admit(await stage.grant(2))
    admit(await stage.grant(2))
    starter.startWaiting()
    expect([stage.starts.map(({ index }) => index), starter.waiting, slots.free]).toEqual([[0, 1, 0], 1, 0])
    starter.startWaiting()
    expect(stage.starts).toHaveLength(3)
    stage.starts[0]?.succeed()
    starter.startWaiting()
    expect([stage.starts.length, starter.waiting, slots.free]).toEqual([4, 0, 0])
  })

  it('are started in portions of 256, so that results set out in between', async () => {
    const stage = await ExecutorStage.open()
    const { starter, admit } = stage.parts({ maxConcurrentTasks: 1_000 })
    admit(await stage.grant(600))
    const counts: number[] = []
    starter.startWaiting()
    for (let i = 0; i < 3; i += 1) {
      counts.push(stage.starts.length)
      expect(starter.isPausing).toBe(i < 2)
      starter.startWaiting() // nothing is started in a pause
      counts.push(stage.starts.length)
      await nextTurn()
    }
    expect(counts).toEqual([256, 256, 512, 512, 600, 600])
  })

  it('wait for the next turn of the event loop when handlers have kept this one for 10 ms', async () => {
    const stage = await ExecutorStage.open()
    const options = stage.options()
    const { starter, admit } = stage.parts({
      maxConcurrentTasks: 100,
      engine: {
        ...options.engine,
        start: (...args) => {
          stage.clock.advance(1)
          return options.engine.start(...args)
        },
      },
    })
    admit(await stage.grant(40))
    starter.startWaiting()
    expect([stage.starts.length, starter.isPausing]).toEqual([16, true]) // the clock is read at every 16th
    await nextTurn()
    expect(stage.starts).toHaveLength(32)
  })

  it('make an event each where somebody listens', async () => {
    const stage = await ExecutorStage.open()
    const { starter, admit } = stage.parts()
    const started: number[] = []
    stage.emitter.subscribe('branch:started', ({ index }) => started.push(index))
    admit(await stage.grant(2))
    starter.startWaiting()
    expect(started).toEqual([0, 1])
  })

  it('are not started once they are withdrawn, and do not count for their queue', async () => {
    const stage = await ExecutorStage.open()
    const { starter, admit } = stage.parts({ maxConcurrentTasks: 1 })
    const share = { ...newShare(10), held: 3 }
    const grant = admit(await stage.grant(3), share)
    starter.startWaiting()
    expect([starter.withdraw(grant), starter.withdraw(grant)]).toEqual([2, 0])
    expect([starter.waiting, share.held, grant.left]).toEqual([0, 1, 1])
    stage.starts[0]?.succeed()
    starter.startWaiting()
    expect([stage.starts.length, share.held]).toEqual([1, 0])
  })

  it('are released unspent for another worker', async () => {
    const stage = await ExecutorStage.open()
    const { starter, inFlight, admit } = stage.parts({ maxConcurrentTasks: 1 })
    admit(await stage.grant(3))
    starter.startWaiting()
    starter.releaseAll()
    await nextTurn()
    expect(await stage.world.queue()).toEqual({ ready: 2, delayed: 0, granted: 1 })
    expect(inFlight.started).toBe(1)
    const grant = await stage.world.takeOne(2)
    expect([[...grant.indexes], [...grant.errors], [...grant.losses]]).toEqual([
      [1, 2],
      [0, 0],
      [0, 0],
    ])
  })
})

describe('branches that were acquired ahead', () => {
  it('are released when no slot came free for 100 ms, and no more are acquired ahead', async () => {
    const stage = await ExecutorStage.open()
    const { starter, ahead, admit } = stage.parts({ maxConcurrentTasks: 1, ...DISTANT })
    ahead.learn(1, 100)
    admit(await stage.grant(3))
    starter.startWaiting()
    stage.clock.advance(99)
    expect([starter.waiting, ahead.most(1, 0, 0) > 0]).toEqual([2, true])
    stage.clock.advance(1)
    expect([starter.waiting, ahead.most(1, 0, 0)]).toEqual([0, 0])
    await nextTurn()
    expect(await stage.world.queue()).toMatchObject({ ready: 2 })
  })

  it('wait on as far as they will be started soon: as many as in the last 100 ms', async () => {
    const stage = await ExecutorStage.open()
    const { starter, admit } = stage.parts({ maxConcurrentTasks: 1, ...DISTANT })
    admit(await stage.grant(8))
    starter.startWaiting()
    const startNext = async (): Promise<void> => {
      stage.starts.at(-1)?.succeed()
      starter.startWaiting()
      await nextTurn() // whether their run is paused was asked
      starter.startWaiting()
    }
    for (let i = 0; i < 2; i += 1) {
      stage.clock.advance(40)
      await startNext()
    }
    expect(starter.startsLately).toBe(3)
    admit(await stage.grant(1))
    expect(starter.waiting).toBe(6)
    stage.clock.advance(20)
    expect(starter.waiting).toBe(3) // two of the first grant, and the second, which has not waited for long
    await nextTurn()
    expect(await stage.world.queue()).toMatchObject({ ready: 3 })
    await startNext()
    expect(stage.starts.map(({ index }) => index)).toEqual([0, 1, 2, 3])
    stage.clock.advance(100)
    expect(starter.waiting).toBe(1)
    stage.clock.advance(100)
    expect(starter.waiting).toBe(0)
  })

  it('are released after a while if their run is paused now', async () => {
    const stage = await ExecutorStage.open()
    const { starter, admit } = stage.parts({ maxConcurrentTasks: 1, ...DISTANT })
    const { spec } = admit(await stage.grant(3)).grant
    admit(await stage.grant(1))
    starter.startWaiting()
    await stage.backend.control({ kind: 'pause-run', runId: spec.runId })
    stage.clock.advance(50)
    stage.starts[0]?.succeed()
    starter.startWaiting()
    await nextTurn()
    starter.startWaiting()
    await nextTurn()
    expect(stage.starts.map(({ execution }) => execution.facts.runId === spec.runId)).toEqual([true, false])
    expect(starter.waiting).toBe(0)
  })

  it('are released if it cannot be known whether their run is paused', async () => {
    const stage = await ExecutorStage.open()
    const pauses = Object.assign(Object.create(stage.options().engine.pauses) as Pauses, {
      ask: () => Promise.reject(new Error('refused')),
    })
    const engine = { ...stage.options().engine, pauses }
    const { starter, admit } = stage.parts({ maxConcurrentTasks: 1, ...DISTANT, engine })
    admit(await stage.grant(3))
    starter.startWaiting()
    stage.clock.advance(50)
    stage.starts[0]?.succeed()
    starter.startWaiting()
    await nextTurn()
    expect([stage.starts.length, starter.waiting]).toEqual([1, 0])
    expect(await stage.world.queue()).toMatchObject({ ready: 2 })
  })

  it('are started by an answer that was longer on its way than it may be used, and asked for once', async () => {
    const stage = await ExecutorStage.open()
    let asked = 0
    const pauses = Object.assign(Object.create(stage.options().engine.pauses) as Pauses, {
      async ask() {
        asked += 1
        await nextTurn()
        stage.clock.advance(80)
        return false
      },
    })
    const engine = { ...stage.options().engine, pauses }
    const { starter, admit } = stage.parts({ maxConcurrentTasks: 2, ...DISTANT, engine })
    const grant = await stage.grant(1)
    stage.clock.advance(80)
    admit(grant)
    stage.clock.advance(80)
    for (let i = 0; i < 4; i += 1) {
      starter.startWaiting()
      await nextTurn()
    }
    expect([stage.starts.length, asked]).toEqual([1, 1])
  })

  it('are not released after the end', async () => {
    const stage = await ExecutorStage.open()
    const { starter, admit } = stage.parts({ maxConcurrentTasks: 1, ...DISTANT })
    admit(await stage.grant(3))
    starter.startWaiting()
    starter.stop()
    stage.clock.advance(1_000)
    expect(starter.waiting).toBe(2)
  })
})
