import { connect, each, par, seq, task, type Graflow } from 'graflow'
import { manualClock } from 'graflow/testing'
import { endless, endlessPair, endlessStep, add, flaky } from './run-handle.tasks.js'
import { describeOnBackends } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { finished, logOf, nextEvent, nextMark } from '../support/runs.js'
import { within } from '../support/waits.js'

describeOnBackends('close', (open) => {
  it.each([
    ['in a step', endlessStep],
    ['in a branch', endlessPair],
  ])('ends what runs %s: its signal fires, its result rejects with CLOSED', async (_, flow) => {
    const graflow = await open()
    const log = logOf(graflow)
    const running = nextMark(graflow, 'running')
    const run = await graflow.start(flow, 1)
    const failure = failureOf(run.result())
    await running
    const stopped = nextEvent(graflow, 'run:progress')
    await graflow.close()
    expect((await failure).code).toBe('CLOSED')
    expect((await failure).message).toContain(graflow.instanceId)
    await stopped
    expect(log).toEqual(['running', expect.stringContaining('stopped: CLOSED')])
  })

  it('refuses what comes after it with CLOSED', async () => {
    const graflow = await open()
    const run = await finished(graflow, add, 1)
    expect(graflow.isRunning).toBe(true)
    await graflow.close()
    expect(graflow.isRunning).toBe(false)
    for (const late of [
      graflow.run(add, 1),
      graflow.start(add, 1),
      graflow.submit(add, 1),
      graflow.attach(run.id),
      run.result(),
      run.result(add),
      run.status(),
      run.cancel(),
      run.pause(),
    ]) {
      expect((await failureOf(late)).code).toBe('CLOSED')
    }
  })

  it('may be repeated, also at once', async () => {
    const graflow = await open()
    await Promise.all([graflow.close(), graflow.close()])
    await graflow.close()
  })

  it('happens at the end of `await using`', async () => {
    let seen: Graflow
    {
      await using graflow = await connect()
      seen = graflow
      expect(await graflow.run(add, 1)).toBe(2)
    }
    expect(seen.isRunning).toBe(false)
  })

  it('ends iterators that wait', async () => {
    const graflow = await open()
    const running = nextMark(graflow, 'running')
    const run = await graflow.start(endlessPair, 1)
    await running
    const events = (async () => {
      for await (const _ of run.events());
      return 'ended'
    })()
    const branches = (async () => {
      for await (const _ of run.branches());
    })()
    const failure = failureOf(branches)
    await graflow.close()
    expect(await within(1_000, events, 'the end of the events')).toBe('ended')
    expect((await failure).code).toBe('CLOSED')
  })

  it('reclaims a start that is under way', async () => {
    const graflow = await open()
    const started = graflow.run(endlessPair, 1)
    const failure = failureOf(started)
    await graflow.close()
    expect((await failure).code).toBe('CLOSED')
  })

  it('leaves no timer behind, whatever was waited for', async () => {
    const clock = manualClock(1_000_000)
    const graflow = await open({ clock })
    const delayed = task('delayed', { retry: { attempts: 2, delayMs: 60_000 } }, (): number => {
      throw new Error('again')
    })
    const timed = task('timed', { timeoutMs: 60_000 }, () => new Promise<number>(() => undefined))
    const flows = [
      delayed,
      par(delayed, add),
      seq(timed),
      par(timed, add),
      par(endless, add).configure({ timeoutMs: 60_000 }),
    ]
    const running = nextMark(graflow, 'running')
    const failures = flows.map((flow) => failureOf(graflow.run(flow, 1 as never, { timeoutMs: 90_000 })))
    await running
    expect(clock.nextDueMs()).toBeDefined()
    await graflow.close()
    for (const failure of failures) expect((await failure).code).toBe('CLOSED')
    expect(clock.nextDueMs()).toBeUndefined()
  })

  it('of one client does not disturb another', async () => {
    const [one, two] = [await open(), await open()]
    const running = nextMark(two, 'running')
    const run = await two.start(endlessPair, 1)
    await running
    await one.close()
    expect((await run.status()).state).toBe('running')
    expect(await two.run(each(flaky), [1, 2])).toEqual([1, 2])
    await run.cancel()
    expect(one.instanceId).not.toBe(two.instanceId)
  })
})
