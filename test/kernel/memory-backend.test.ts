/** The memory backend’s own promises: its timer, its bounds on what has ended, and its sense of time. */
import type { Backend } from '../../lib/backend/backend.js'
import { openMemoryBackend, type MemoryBackendOptions } from '../../lib/backend/kernel/memory-backend.js'
import { type Clock, type ManualClock, manualClock } from '../../lib/time.js'
import { bytes, infoOf, packed, World } from '../support/world.js'

/** A manual clock that knows which of its timers keep the process alive, and can go back. */
const watchedClock = (): {
  clock: Clock
  manual: ManualClock
  kept: () => number
  armed: () => number
  turnBack: (ms: number) => void
} => {
  const manual = manualClock(1_700_000_000_000)
  const timers = new Set<{ readonly isBackground: boolean }>()
  let behindMs = 0
  const clock: Clock = {
    now: () => manual.now() - behindMs,
    after: (delayMs, fn, isBackground = false) => {
      const timer = { isBackground }
      timers.add(timer)
      const cancel = manual.after(delayMs, () => {
        timers.delete(timer)
        fn()
      })
      return () => {
        timers.delete(timer)
        cancel()
      }
    },
  }
  return {
    clock,
    manual,
    kept: () => [...timers].filter(({ isBackground }) => !isBackground).length,
    armed: () => timers.size,
    turnBack: (ms) => {
      behindMs += ms
    },
  }
}

const worldOn = async (clock: Clock, options: Omit<MemoryBackendOptions, 'clock'> = {}): Promise<World> => {
  const backend = openMemoryBackend({ clock, ...options })
  let nonces = 0
  const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const world = new World({
    backend,
    advance: async () => quiet(),
    stall: async () => quiet(),
    quiet,
    newNonce: () => String(nonces++),
    close: () => backend.close(),
  })
  await backend.putGraph('graph', bytes('graph'))
  for (const session of ['driver', 'w']) await world.join(session, { ttlMs: Number.POSITIVE_INFINITY })
  return world
}

const finish = (backend: Backend, holder: { gid: string; index: number; token: string }, value = bytes('x')) =>
  backend.step({ holder, runId: holder.gid, end: { state: 'completed', value } })

describe('memory backend', () => {
  it('keeps the process alive for a retry that a run waits for, and not before or after', async () => {
    const { clock, manual, kept, armed } = watchedClock()
    const world = await worldOn(clock)
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1, attempts: 2 })
    const grant = await world.takeOne()
    expect(kept()).toBe(0)
    await world.settle(grant, 'retry', [0], { delaysMs: [500] })
    expect(kept()).toBe(1)
    manual.advance(499)
    expect(await world.queue()).toMatchObject({ ready: 0, delayed: 1 })
    manual.advance(1)
    expect(await world.queue()).toMatchObject({ ready: 1, delayed: 0 })
    expect(kept()).toBe(0)
    expect(armed()).toBeLessThanOrEqual(1)
    await world.backend.close()
  })

  it('does not keep the process alive for a retry that is not wanted any more', async () => {
    const { clock, kept } = watchedClock()
    const world = await worldOn(clock)
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1, attempts: 2 })
    await world.settle(await world.takeOne(), 'retry', [0], { delaysMs: [60_000] })
    await finish(world.backend, holder)
    expect(kept()).toBe(0)
  })

  it('keeps the process alive for deadlines and run timeouts as long as they can come', async () => {
    const { clock, kept } = watchedClock()
    const world = await worldOn(clock)
    const holder = await world.start('run', { timeoutMs: 5_000 })
    expect(kept()).toBe(1)
    await finish(world.backend, holder)
    expect(kept()).toBe(0)
    const other = await world.start('other')
    await world.dispatch(other, 'other/0', { size: 1, timeoutMs: 100 })
    const grant = await world.takeOne()
    expect(kept()).toBe(1)
    await world.settle(grant, 'succeeded')
    expect(kept()).toBe(0)
  })

  it('does not keep the process alive for sessions and purges', async () => {
    const { clock, kept, armed } = watchedClock()
    const world = await worldOn(clock)
    await world.join('mortal', { ttlMs: 3_000 })
    await finish(world.backend, await world.start('run'))
    expect(armed()).toBe(1)
    expect(kept()).toBe(0)
  })

  it('stops its timer when it is closed', async () => {
    const { clock, armed } = watchedClock()
    const world = await worldOn(clock)
    await world.start('run', { timeoutMs: 5_000 })
    expect(armed()).toBe(1)
    await world.backend.close()
    expect(armed()).toBe(0)
  })

  it('sweeps by itself when something is due', async () => {
    const { clock, manual } = watchedClock()
    const world = await worldOn(clock)
    await world.join('mortal', { ttlMs: 3_000 })
    const holder = await world.start('run', { timeoutMs: 10_000 })
    await world.dispatch(holder, 'run/0', { size: 3, timeoutMs: 5_000 })
    await world.takeOne(1, { session: 'mortal' })
    await world.takeOne(1)
    manual.advance(2_999)
    expect(await world.backend.inspect.sessions()).toHaveLength(3)
    manual.advance(1_001)
    expect((await world.backend.inspect.sessions()).map(({ session }) => session)).toEqual(['w', 'driver'])
    expect(await world.queue()).toMatchObject({ ready: 2, granted: 1 })
    manual.advance(2_000)
    expect(await world.outcomes('run/0')).toEqual(['-', 'failed:'])
    manual.advance(4_000)
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'failed', value: bytes('') })
    manual.advance(60_000)
    expect(await world.backend.inspect.run('run')).toBeUndefined()
  })

  it('deletes everything of a run in the end, and graphs that no run uses', async () => {
    const { clock, manual, armed } = watchedClock()
    const world = await worldOn(clock)
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 3 })
    await finish(world.backend, holder)
    manual.advance(25 * 3_600_000)
    expect(await world.backend.inspect.run('run')).toBeUndefined()
    expect(await world.backend.inspect.outcomes('run', 0)).toBeUndefined()
    expect(await world.backend.inspect.outcomes('run/0', 0)).toBeUndefined()
    expect(await world.backend.getGraph('graph')).toBeUndefined()
    expect(armed()).toBe(0)
  })

  it('keeps the graph of a run that is kept', async () => {
    const { clock, manual } = watchedClock()
    const world = await worldOn(clock)
    await world.start('run')
    manual.advance(60 * 3_600_000)
    expect(await world.backend.getGraph('graph')).toEqual(bytes('graph'))
  })

  it('keeps no more ended runs than it was told, the newest', async () => {
    const { clock } = watchedClock()
    const world = await worldOn(clock, { maxRetainedRuns: 2 })
    const kept = await world.start('kept')
    for (const runId of ['a', 'b', 'c']) await finish(world.backend, await world.start(runId))
    const { items: runs } = await world.backend.inspect.runs({ limit: 10 })
    expect(runs.map(({ runId }) => runId)).toEqual(['c', 'b', 'kept'])
    expect(await world.step(kept, {})).toEqual({ status: 'ok', fill: 0 })
  })

  it('keeps no more bytes of ended runs than it was told: payloads go before records, and the newest stays', async () => {
    const { clock } = watchedClock()
    const world = await worldOn(clock, { maxRetainedBytes: 20_000 })
    const large = { ends: Uint32Array.of(15_000), bytes: new Uint8Array(15_000) }
    for (const runId of ['a', 'b']) {
      const holder = await world.start(runId)
      const spec = world.spec(`${runId}/0`, { size: 1 })
      await world.step(holder, { group: { spec, from: 0, inputs: large } })
      await finish(world.backend, holder)
    }
    expect(await world.backend.inspect.outcomes('a/0', 0)).toBeUndefined()
    expect(await world.backend.inspect.run('a')).toMatchObject({ state: 'completed' })
    expect(await world.backend.inspect.outcomes('b/0', 0)).toMatchObject({ state: 'withdrawn' })
    await finish(world.backend, await world.start('c'), new Uint8Array(30_000))
    expect((await world.backend.inspect.runs({ limit: 10 })).items.map(({ runId }) => runId)).toEqual(['c'])
    expect(await world.backend.inspect.run('c')).toMatchObject({ value: new Uint8Array(30_000) })
  })

  it('keeps the payloads of the newest ended run, however large', async () => {
    const { clock } = watchedClock()
    const world = await worldOn(clock, { maxRetainedBytes: 1_000 })
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 100 })
    await world.settle(await world.takeOne(), 'succeeded')
    await finish(world.backend, holder)
    expect(await world.outcomes('run/0')).toHaveLength(100)
  })

  it('FT-D24: keeps plans at their distance and tokens apart when the clock goes back an hour', async () => {
    const { clock, manual, turnBack } = watchedClock()
    const world = await worldOn(clock)
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2, attempts: 2 })
    const first = await world.takeOne(1)
    await world.settle(first, 'retry', [0], { delaysMs: [1_000] })
    manual.advance(600)
    expect(await world.queue()).toMatchObject({ ready: 1, delayed: 1 })
    turnBack(3_600_000)
    const second = await world.takeOne(1)
    expect(second.fence).toBeGreaterThan(first.fence)
    manual.advance(390)
    expect(await world.queue()).toMatchObject({ ready: 0, delayed: 1 })
    manual.advance(10)
    expect(await world.queue()).toMatchObject({ ready: 1, delayed: 0 })
  })

  it('FT-D23: takes nothing back at once when the clock jumps on an hour', async () => {
    const { clock, manual, turnBack } = watchedClock()
    const world = await worldOn(clock)
    await world.join('alive', { ttlMs: 3_000 })
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1, maxLosses: 0 })
    const grant = await world.takeOne(1, { session: 'alive' })
    turnBack(-3_600_000)
    expect(await world.backend.sweep('w')).toEqual({ status: 'grace' })
    manual.advance(1_000)
    expect(await world.backend.session({ kind: 'renew', session: 'alive', ttlMs: 3_000 })).toEqual({ status: 'ok' })
    manual.advance(2_500)
    expect(await world.settle(grant, 'succeeded')).toBe('ok')
  })

  it('FT-R6: gives each session its own time to live anew after a standstill, and no deadline ends in that time', async () => {
    const { clock, manual, turnBack } = watchedClock()
    const world = await worldOn(clock)
    await world.join('short', { ttlMs: 600 })
    await world.join('long', { ttlMs: 3_000 })
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2, maxLosses: 0, timeoutMs: 5_000 })
    await world.takeOne(1, { session: 'long' })
    await world.takeOne(1)
    turnBack(-10_000)
    manual.advance(200)
    expect(await world.queue()).toMatchObject({ granted: 2 })
    await world.backend.session({ kind: 'renew', session: 'short', ttlMs: 600 })
    manual.advance(300)
    await world.backend.session({ kind: 'renew', session: 'short', ttlMs: 600 })
    manual.advance(400)
    expect((await world.backend.inspect.sessions()).map(({ session }) => session)).toEqual([
      'long',
      'short',
      'w',
      'driver',
    ])
    expect(await world.outcomes('run/0')).toEqual(['failed:', 'failed:'])
    manual.advance(3_000)
    expect((await world.backend.inspect.sessions()).map(({ session }) => session)).toEqual(['w', 'driver'])
  })

  it('goes on delivering news when a listener throws', async () => {
    const { clock } = watchedClock()
    const world = await worldOn(clock)
    const thrown: unknown[] = []
    const original = globalThis.queueMicrotask
    globalThis.queueMicrotask = (task) =>
      original(() => {
        try {
          task()
        } catch (error) {
          thrown.push(error)
        }
      })
    try {
      world.backend.watch('run', () => {
        throw new Error('a bad listener')
      })
      const { seen } = world.watch('run')
      const holder = await world.start('run')
      await world.step(holder, { group: { spec: world.spec('run/0', { size: 1 }), from: 0, inputs: packed('a') } })
      await world.harness.quiet()
      expect(seen.map(({ kind }) => kind)).toEqual(['state', 'group'])
      expect(thrown).toHaveLength(2)
    } finally {
      globalThis.queueMicrotask = original
    }
  })

  it('forgets dead letters beyond its bound, oldest first', async () => {
    const { clock } = watchedClock()
    const world = await worldOn(clock)
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2_100 })
    await world.settle(await world.takeOne(2_100), 'failed')
    const letters = (await world.backend.inspect.deadLetters(5_000)).map(({ index }) => index)
    expect([letters.length, letters[0], letters.at(-1)]).toEqual([1_000, 2_099, 1_100])
  })

  it('leaves timers a turn, also to who looks again and again and awaits nothing else', async () => {
    const { backend } = await worldOn(manualClock())
    const timer = { isOver: false }
    setTimeout(() => (timer.isOver = true), 1)
    const from = performance.now()
    while (!timer.isOver && performance.now() - from < 5_000) await backend.inspect.run('a')
    expect(timer.isOver).toBe(true)
  })

  it('refuses a time that is none', async () => {
    const world = await worldOn({ now: () => Number.NaN, after: () => () => {} }).catch((error: unknown) => error)
    expect(world).toMatchObject({ code: 'INTERNAL' })
    expect(infoOf('x').baseId).toBe('x')
  })
})
