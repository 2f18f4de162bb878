import { manualClock } from 'graflow/testing'
import { crossTalk, inOrder, quickPair, slowGroup } from './distributed.tasks.js'
import { describeOnBackends } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { dueIn, logOf, nextEvent } from '../support/runs.js'

describeOnBackends('distributed', (open, onlyEmbedded) => {
  it('X2: a result that is there before it is asked for is given at once, any number of times', async () => {
    const graflow = await open()
    const over = nextEvent(graflow, 'run:state', ({ to }) => to === 'completed')
    const run = await graflow.start(quickPair, 1)
    await over
    expect(await run.result()).toEqual([2, 2])
    expect(await run.result()).toEqual([2, 2])
  })

  onlyEmbedded('by a manual clock; test/long/on-redis.test.ts has it with real times')(
    'X3: a group past its timeoutMs fails with GROUP_TIMEOUT, its branches are withdrawn, and nothing is left after retention',
    async () => {
      const clock = manualClock(1_000_000)
      const graflow = await open({ clock, maxConcurrentTasks: 1, retentionMs: 5_000 })
      const log = logOf(graflow)
      const running = nextEvent(graflow, 'run:progress')
      const run = await graflow.start(slowGroup, undefined)
      const failure = failureOf(run.result())
      await running
      clock.advance(999)
      expect((await run.status()).state).toBe('running')
      const stopped = nextEvent(graflow, 'run:progress', ({ message }) => message !== 'running')
      clock.advance(1)
      const error = await failure
      await stopped
      expect(error.code).toBe('GROUP_TIMEOUT')
      expect(error.message).toContain('slow')
      expect(error.message).toContain('1000')
      expect(error.details).toMatchObject({ group: '0', name: 'slow', timeoutMs: 1_000 })
      // one had a slot, the other never started
      expect(log).toEqual(['running', 'stopped: CANCELLED'])
      expect((await run.status()).groups).toMatchObject([
        { path: '0', state: 'withdrawn', width: 2, withdrawn: 2, running: 0, ready: 0 },
      ])
      expect(await dueIn(clock)).toBe(5_000)
      clock.advance(4_999)
      expect((await run.status()).state).toBe('failed')
      clock.advance(1)
      expect((await failureOf(run.status())).code).toBe('RUN_NOT_FOUND')
      expect((await failureOf(run.result())).code).toBe('RUN_NOT_FOUND')
      expect((await failureOf(graflow.attach(run.id))).code).toBe('RUN_NOT_FOUND')
      // the graph is kept for a day, then nothing is planned any more
      clock.advance(24 * 3_600_000)
      expect(clock.nextDueMs()).toBeUndefined()
    },
  )

  it('X8: two runs of one workflow at once, 50 times, know nothing of each other', async () => {
    const graflow = await open()
    for (let round = 0; round < 50; round += 1) {
      const input = (tag: string) => Array.from({ length: 20 }, (_, n) => ({ tag, n }))
      const both = await Promise.all(['a', 'b'].map((tag) => graflow.run(crossTalk, input(tag))))
      for (const [i, tag] of ['a', 'b'].entries()) {
        expect(both[i]).toEqual({ values: Array.from({ length: 20 }, (_, n) => `${tag}${n}`), tags: [tag] })
      }
    }
  })

  it('X9: 100 branches through one slot are started in the order of their dispatch', async () => {
    const graflow = await open({ maxConcurrentTasks: 1 })
    const log = logOf(graflow)
    const items = Array.from({ length: 100 }, (_, n) => n)
    await graflow.run(inOrder, items)
    expect(log).toEqual(items.map(String))
  })

  it('X12: 100 runs of one workflow all run', async () => {
    const graflow = await open()
    const inputs = Array.from({ length: 100 }, (_, i) => i)
    expect(await Promise.all(inputs.map((n) => graflow.run(quickPair, n)))).toEqual(inputs.map((n) => [n + 1, n + 1]))
  })
})
