import { each, par, seq, type Run } from 'graflow'
import { manualClock } from 'graflow/testing'
import {
  blocker,
  chainRetriesLater,
  forks,
  high,
  highest,
  innerLimited,
  leaf,
  limited,
  limitedChains,
  low,
  manyForks,
  nestedDeep,
  other,
  plain,
  retriesLater,
  twoLevels,
  unlimited,
  untilTogether,
  waitsForOther,
  waitsInFork,
} from './slots.tasks.js'
import { describeOnBackends, openGateOf, useFreshWorkers } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { dueIn, logOf, nextEvent, nextMark } from '../support/runs.js'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

describeOnBackends(
  'branches in flight',
  (open) => {
    it.each([1, 3, 10])('are never more than a group’s concurrency of %d, and all run', async (concurrency) => {
      const graflow = await open()
      expect(await graflow.run(limited(concurrency), numbers(30))).toEqual({ most: concurrency, count: 30 })
    })

    it('are never more than the process’s slots', async () => {
      const graflow = await open({ maxConcurrentTasks: 4 })
      expect(await graflow.run(unlimited, numbers(30))).toEqual({ most: 4, count: 30 })
      expect(await graflow.run(limited(10), numbers(30))).toEqual({ most: 4, count: 30 })
    })

    it('are as many as there are, up to 256, when nothing limits them', async () => {
      const graflow = await open()
      expect(await graflow.run(untilTogether(256), numbers(300))).toEqual({ most: 256, count: 300 })
    })

    it('of a limited group count while they wait for their inner groups', async () => {
      const graflow = await open()
      const { most, count } = await graflow.run(innerLimited, numbers(10))
      expect(most).toBeLessThanOrEqual(4)
      expect(count).toBe(10)
    })

    it('of a limited group count through their retries', async () => {
      const graflow = await open()
      const { most, count } = await graflow.run(limitedChains, numbers(12))
      expect(most).toBeLessThanOrEqual(3)
      expect(count).toBe(12)
    })

    it('of a limited group do not hold up another group', async () => {
      const graflow = await open()
      const blocked = nextMark(graflow, 'blocked')
      const run = await graflow.start(each(blocker).configure({ concurrency: 1 }), [1, 2, 3])
      await blocked
      expect(await graflow.run(unlimited, numbers(5))).toEqual({ most: 5, count: 5 })
      openGateOf(run, 'go')
      await run.result()
    })
  },
  { onlyEmbedded: 'it counts what one process has in flight' },
)

describeOnBackends('one slot', (open, onlyEmbedded) => {
  it('is enough for groups nested by the flow', async () => {
    const graflow = await open({ maxConcurrentTasks: 1 })
    expect(await graflow.run(nestedDeep, 1)).toEqual([[[[[[2, 2], 2], 2], 2], 2], 2])
  })

  it('is enough for forks from inside handlers', async () => {
    const graflow = await open({ maxConcurrentTasks: 1 })
    expect(await graflow.run(par(forks, forks), 1)).toEqual([
      [2, [3, 3]],
      [2, [3, 3]],
    ])
  })

  it('is free while a handler waits for its fork', async () => {
    useFreshWorkers()
    const graflow = await open({ maxConcurrentTasks: 1 })
    const log = logOf(graflow)
    await graflow.run(par(waitsForOther, other), undefined)
    expect(log.indexOf('other')).toBeGreaterThan(log.indexOf('opens'))
    expect(log).toHaveLength(4)
  })

  onlyEmbedded('by a manual clock')('is free while a retry waits for its time', async () => {
    for (const flow of [par(retriesLater, other), par(chainRetriesLater, other)]) {
      const clock = manualClock(1_000_000)
      const graflow = await open({ maxConcurrentTasks: 1, clock })
      const log = logOf(graflow)
      const second = nextMark(graflow, 'other')
      const result = graflow.run(flow, undefined)
      await second
      await graflow.run(par(other), undefined)
      expect(log).not.toContain('start 2')
      clock.advance((await dueIn(clock)) ?? 0)
      await result
      expect(log.at(-1)).toBe('start 2')
    }
  })

  it('is given back by a cancelled run', async () => {
    const graflow = await open({ maxConcurrentTasks: 1 })
    const blocked = nextMark(graflow, 'blocked')
    const run = await graflow.start(par(blocker, blocker), undefined)
    await blocked
    await run.cancel()
    await failureOf(run.result())
    expect(await graflow.run(each(leaf), [1, 2])).toEqual([2, 3])
  })
})

describeOnBackends(
  'very many branches',
  (open) => {
    it('3 000 that each fork two more do not block each other', async () => {
      const graflow = await open()
      expect(await graflow.run(manyForks, numbers(3_000))).toEqual(numbers(3_000).map(() => 2))
    })

    it('nor do 2 000 that fork in forks, with few slots', async () => {
      const graflow = await open({ maxConcurrentTasks: 8 })
      expect(await graflow.run(twoLevels, numbers(2_000))).toEqual(numbers(2_000).map((n) => n + 1))
    })

    it('20 000 items, and a sequence of 1 000 steps', async () => {
      const graflow = await open()
      const items = numbers(20_000)
      expect(await graflow.run(each(leaf), items)).toEqual(items.map((n) => n + 1))
      const steps = Array.from({ length: 1_000 }, () => leaf)
      const chain = steps.slice(1).reduce((left, right) => left.to(right) as typeof leaf, leaf)
      expect(await graflow.run(chain, 0)).toBe(1_000)
      expect(await graflow.run(par(chain, leaf), 0)).toEqual([1_000, 1])
    })
  },
  { onlyEmbedded: 'it is about the event loop of one process' },
)

describeOnBackends('who runs first', (open) => {
  beforeEach(useFreshWorkers)

  it('is decided by priority, then by dispatch', async () => {
    const graflow = await open({ maxConcurrentTasks: 1 })
    const log = logOf(graflow)
    const blocked = nextMark(graflow, 'blocked')
    const first = await graflow.start(par(blocker), undefined)
    await blocked
    const rest: Run<unknown>[] = []
    for (const node of [low, plain, high, plain, highest, high]) {
      const dispatched = nextEvent(graflow, 'group:dispatched')
      rest.push(await graflow.start(par(node), undefined))
      await dispatched
    }
    openGateOf(first, 'go')
    await Promise.all(rest.map((run) => run.result()))
    expect(log).toEqual(['blocked', 'highest', 'high', 'high', 'plain', 'plain', 'low'])
  })

  it('is what is deeper, at one priority: what is begun is finished first', async () => {
    const graflow = await open({ maxConcurrentTasks: 1 })
    const log = logOf(graflow)
    await graflow.run(par(seq(other, par(plain, plain)), other), undefined)
    expect(log).toEqual(['other', 'plain', 'plain', 'other'])
  })
})

describeOnBackends(
  'a deadline',
  (open) => {
    it('stands still while the handler waits for its fork, and goes on after it', async () => {
      for (const place of ['step', 'branch'] as const) {
        const clock = manualClock(1_000_000)
        const graflow = await open({ clock })
        const inFork = nextMark(graflow, 'in fork')
        const run = await graflow.start(place === 'step' ? seq(waitsInFork) : par(waitsInFork), undefined)
        await inFork
        clock.advance(60_000)
        const back = nextMark(graflow, 'back')
        openGateOf(run, 'first')
        await back
        clock.advance(50)
        openGateOf(run, 'second')
        expect([await run.result()].flat()).toEqual(['in time'])
      }
    })

    it('that stood still still comes', async () => {
      const clock = manualClock(1_000_000)
      const graflow = await open({ clock })
      const inFork = nextMark(graflow, 'in fork')
      const run = await graflow.start(par(waitsInFork), undefined)
      await inFork
      clock.advance(60_000)
      const back = nextMark(graflow, 'back')
      openGateOf(run, 'first')
      await back
      clock.advance(100)
      expect((await failureOf(run.result())).cause).toMatchObject({ code: 'TIMEOUT' })
    })
  },
  { onlyEmbedded: 'by a manual clock' },
)
