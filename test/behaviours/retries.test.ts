import { par, seq, type AnyNode } from 'graflow'
import { manualClock, seededRandom, type ManualClock } from 'graflow/testing'
import {
  capped,
  chain,
  constant,
  deaf,
  doubling,
  facts,
  fourAttempts,
  inBranches,
  jittered,
  markedNotRetryable,
  notRetryable,
  oneAttempt,
  overItems,
  spoils,
  steady,
  threeInVain,
  timesOutTwice,
} from './retries.tasks.js'
import { describeOnBackends, openGateOf, type Open } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { dueIn, failureOfRun, logOf, nextMark } from '../support/runs.js'

/** Where a task may stand: as a step, which its driver retries, and as a branch, which the store hands out again. */
const places: readonly (readonly [string, (node: AnyNode) => AnyNode])[] = [
  ['as a step', (node) => node],
  ['as a branch', (node) => par(node, steady as AnyNode)],
  ['in a chain of a branch', (node) => par(seq(steady as AnyNode, node), steady as AnyNode)],
]

describeOnBackends('retries', (open, onlyEmbedded) => {
  const byManualClock = onlyEmbedded('a worker process has a clock of its own, and Redis another')

  it('R1: a task that fails twice and then succeeds is started three times', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    expect(await graflow.run(fourAttempts, 'x')).toBe('x 3')
    expect(log).toEqual(['four-attempts 1', 'four-attempts 2', 'four-attempts 3'])
    expect(await graflow.run(inBranches, 'x')).toEqual(['x 3', 'x'])
    expect(await graflow.run(overItems, ['x', 'y'])).toEqual(['x 3', 'y 3'])
    expect(await graflow.run(par(chain, steady), 'x')).toEqual(['x 3', 'x'])
  })

  it('without retry options a task is started once', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    await failureOfRun(graflow, oneAttempt, 'x')
    await failureOfRun(graflow, par(oneAttempt), 'x')
    expect(log).toEqual(['one-attempt 1', 'one-attempt 1'])
  })

  it.each(places)(
    'R2: a task that always fails is started three times, then failed with the last cause (%s)',
    async (_, at) => {
      const graflow = await open()
      const log = logOf(graflow)
      const failure = await failureOf(graflow.run(at(threeInVain), { id: 7 } as never))
      expect(log.filter((text) => text !== 'steady')).toEqual(['try 1', 'try 2', 'try 3'])
      const error = failure.code === 'GROUP_FAILED' ? (failure.cause as typeof failure) : failure
      expect(error.code).toBe('TASK_FAILED')
      expect(error.details).toMatchObject({ task: 'three-in-vain', attempts: 3 })
      expect(error.message).toContain('three-in-vain')
      expect(error.message).toContain('3 attempts')
      expect(error.message).toContain('no luck with 7, try 3')
      expect(error.cause).toMatchObject({ name: 'TypeError', message: 'no luck with 7, try 3' })
      expect((error.cause as Error).stack).toContain('retries.tasks')
      expect((error.cause as Error).cause).toMatchObject({ message: 'the weather' })
    },
  )

  /** Times between the starts, by a clock that moves only to the next thing that is due. */
  async function delays(node: AnyNode, openWith: Open): Promise<{ planned: number[]; passed: number[] }> {
    const clock = manualClock(1_000_000)
    const graflow = await openWith({ clock, random: seededRandom(1) })
    const starts: number[] = []
    const planned: number[] = []
    graflow.events.subscribe('run:progress', ({ at, message }) => {
      if (message === 'start') starts.push(at.getTime())
    })
    for (const name of ['branch:retrying', 'step:retrying'] as const)
      graflow.events.subscribe(name, ({ delayMs }) => planned.push(delayMs))
    let isOver = false
    const run = failureOf(graflow.run(node, undefined as never)).finally(() => (isOver = true))
    await pass(clock, () => isOver)
    await run
    return { planned, passed: starts.slice(1).map((start, i) => start - (starts[i] ?? 0)) }
  }

  async function pass(clock: ManualClock, isOver: () => boolean): Promise<void> {
    for (let due = await dueIn(clock, isOver); due !== undefined; due = await dueIn(clock, isOver)) clock.advance(due)
  }

  byManualClock.each(places)('R3: waits 1, 2 and 4 s with a delay of 1 s and factor 2 (%s)', async (_, at) => {
    expect(await delays(at(doubling), open)).toEqual({ planned: [1_000, 2_000, 4_000], passed: [1_000, 2_000, 4_000] })
  })

  byManualClock.each(places)('R3: waits 1, 5 and 5 s with factor 100 and at most 5 s (%s)', async (_, at) => {
    expect(await delays(at(capped), open)).toEqual({ planned: [1_000, 5_000, 5_000], passed: [1_000, 5_000, 5_000] })
  })

  byManualClock('R3: waits alike each time without a factor', async () => {
    expect((await delays(constant, open)).passed).toEqual([300, 300, 300])
  })

  byManualClock.each(places)(
    'R3: jitter shortens a delay by at most its share, differently each time (%s)',
    async (_, at) => {
      const { planned, passed } = await delays(at(jittered), open)
      expect(passed).toEqual(planned)
      expect(passed).toHaveLength(19)
      for (const delay of passed) {
        expect(delay).toBeGreaterThanOrEqual(600)
        expect(delay).toBeLessThanOrEqual(1_000)
      }
      expect(new Set(passed).size).toBeGreaterThan(10)
      expect((await delays(at(jittered), open)).passed).toEqual(passed)
    },
  )

  it.each(places)('R4: an error marked as not retryable is final at once (%s)', async (_, at) => {
    const graflow = await open()
    const log = logOf(graflow)
    for (const node of [notRetryable, markedNotRetryable]) {
      const failure = await failureOf(graflow.run(at(node), undefined as never))
      const error = failure.code === 'GROUP_FAILED' ? (failure.cause as typeof failure) : failure
      expect(error).toMatchObject({ code: 'TASK_FAILED', details: { attempts: 1 } })
      expect(error.cause).toMatchObject({ message: 'bad request', retryable: false })
    }
    expect(log.filter((text) => text !== 'steady')).toEqual(['try 1', 'try 1'])
  })

  it('R5: a handler past its timeoutMs has its signal fired, its slot freed and its late result dropped', async () => {
    const graflow = await open({ maxConcurrentTasks: 1 })
    const log = logOf(graflow)
    const ended = nextMark(graflow, 'ended')
    const run = await graflow.start(par(deaf, steady).settled(), 'x')
    const outcomes = await run.result()
    expect(outcomes[0]).toMatchObject({
      status: 'failed',
      error: { code: 'TIMEOUT', details: { task: 'deaf', timeoutMs: 50 } },
    })
    expect(outcomes[1]).toEqual({ status: 'succeeded', value: 'x' })
    expect(log).toEqual(['started', 'signal: TIMEOUT', 'steady'])
    openGateOf(run, 'late')
    await ended
    expect(await graflow.run(par(steady), 'alive')).toEqual(['alive'])
  })

  it('R5: a step past its timeoutMs fails its run with TIMEOUT', async () => {
    const graflow = await open()
    const error = await failureOfRun(graflow, seq(deaf, steady), 'x')
    expect(error.code).toBe('TIMEOUT')
    expect(error.message).toContain('deaf')
    expect(error.message).toContain('50')
    expect(error.retryable).toBe(true)
  })

  byManualClock.each(places)(
    'a timeout spends an attempt, and the next start has its full time (%s)',
    async (_, at) => {
      const clock = manualClock(1_000_000)
      const graflow = await open({ clock })
      const log = logOf(graflow)
      const result = graflow.run(at(timesOutTwice), 'x' as never)
      result.catch(() => undefined) // awaited below
      for (const attempt of [1, 2]) {
        await nextMark(graflow, `start ${attempt}`)
        clock.advance(49)
        expect(log.filter((text) => text !== 'steady').at(-1)).toBe(`start ${attempt}`)
        clock.advance(1)
      }
      expect([await result].flat()[0]).toBe(3)
    },
  )

  it('R6: of two branches only the one that fails is started again', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    await graflow.run(inBranches, 'x')
    expect([...log].sort()).toEqual(['four-attempts 1', 'four-attempts 2', 'four-attempts 3', 'steady'])
    log.length = 0
    await graflow.run(par(chain, steady), 'x')
    expect(log.filter((text) => text === 'steady')).toHaveLength(3)
    log.length = 0
    await graflow.run(chain, 'x')
    expect(log).toEqual(['steady', 'four-attempts 1', 'four-attempts 2', 'four-attempts 3', 'steady'])
  })

  it.each(places)('the idempotency key stays over attempts, the fence never falls (%s)', async (_, at) => {
    const graflow = await open()
    const log = logOf(graflow)
    await graflow.run(at(facts), 'x' as never)
    const seen = log.filter((text) => text !== 'steady').map((text) => JSON.parse(text) as [number, string, number])
    expect(seen.map(([attempt]) => attempt)).toEqual([1, 2, 3, 4])
    expect(new Set(seen.map(([, key]) => key)).size).toBe(1)
    for (const [i, [, , fence]] of seen.entries()) {
      expect(Number.isSafeInteger(fence)).toBe(true)
      if (i > 0) expect(fence).toBeGreaterThanOrEqual(seen[i - 1]?.[2] ?? 0)
    }
  })

  it('the fence grows with every new grant of a branch', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    await graflow.run(par(facts, steady), 'x')
    const fences = log
      .filter((text) => text !== 'steady')
      .map((text) => (JSON.parse(text) as [number, string, number])[2])
    for (const [i, fence] of fences.entries()) if (i > 0) expect(fence).toBeGreaterThan(fences[i - 1] ?? 0)
  })

  it('a retry starts from the input again, whatever the failed start did to it', async () => {
    const graflow = await open()
    expect(await graflow.run(seq(spoils), [1])).toEqual([1, 99])
    expect(await graflow.run(par(spoils), [1])).toEqual([[1, 99]])
  })
})
