import { each, par, seq, task, workflow, type BranchOutcome, type RunEvent } from 'graflow'
import { manualClock } from 'graflow/testing'
import {
  add,
  broken,
  cancelsAtLength,
  cancelsOddly,
  counted,
  endless,
  endlessPair,
  endlessStep,
  forking,
  eventful,
  gated,
  judged,
  mixed,
  overItems,
  pair,
  slow,
  slowGroupInside,
  slowInside,
  started,
  tell,
  text,
  twice,
  whichOf,
} from './run-handle.tasks.js'
import { describeOnBackends, openGateOf } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { dueIn, failureOfRun, finished, logOf, nextEvent, nextMark } from '../support/runs.js'

const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

describeOnBackends('results of a run', (open) => {
  it('are there by task and by path, for steps, branches, items and passes', async () => {
    const graflow = await open()
    const run = await finished(graflow, seq(mixed, text), 1)
    expect(await run.result()).toBe('n = 7')
    expect(await run.result(twice)).toBe(4)
    expect(await run.result('0')).toBe(2)
    expect(await run.result('1/left')).toBe(3)
    expect(await run.result('1/right')).toBe(4)
    expect(await run.result(text)).toBe('n = 7')
    const items = await finished(graflow, overItems, [1, 2, 3])
    expect(await items.result('0/2')).toBe(8)
    const passes = await finished(graflow, counted, 0)
    expect(await passes.result()).toBe(3)
    expect(await passes.result('0/2/0')).toBe(2)
  })

  it('are copies', async () => {
    const graflow = await open()
    const run = await finished(graflow, pair, 1)
    const first = await run.result()
    first.left = 99
    expect(await run.result()).toEqual({ left: 2, right: 2 })
  })

  it('of a task in an each or a loop are asked for by path', async () => {
    const graflow = await open()
    const run = await finished(graflow, each(add), [1, 2])
    const error = await failureOf(run.result(add))
    expect(error.code).toBe('RESULT_AMBIGUOUS')
    expect(error.details).toMatchObject({ paths: ['0/*'] })
    expect(await run.result('0/1')).toBe(3)
  })

  it('that are not there yet are RESULT_NOT_READY, of no task or path of the flow RESULT_NOT_FOUND', async () => {
    const graflow = await open()
    const running = nextMark(graflow, 'running')
    const run = await graflow.start(endlessPair, 1)
    await running
    expect((await failureOf(run.result(endless))).code).toBe('RESULT_NOT_READY')
    expect((await failureOf(run.result('1/0'))).code).toBe('RESULT_NOT_READY')
    for (const target of ['7', '1/9', '', 'x', '1/0/0', '__proto__', '../0']) {
      expect([target, (await failureOf(run.result(target))).code]).toEqual([target, 'RESULT_NOT_FOUND'])
    }
    expect((await failureOf(run.result(twice))).code).toBe('RESULT_NOT_FOUND')
    expect((await failureOf(run.result(pair))).code).toBe('RESULT_NOT_FOUND')
    await run.cancel()
  })

  it('of a group are what its join makes of it, of a workflow, chain or choose what ran last in it', async () => {
    const graflow = await open()
    const run = await finished(graflow, seq(mixed, text), 1)
    expect(await run.result('1')).toEqual({ left: 3, right: 4 })
    const items = await finished(graflow, overItems, [1, 2, 3])
    expect(await items.result('0')).toEqual([4, 6, 8])
    const failing = await finished(graflow, seq(par(add, broken).settled(), tell), 1)
    expect(await failing.result('0')).toMatchObject([
      { status: 'succeeded', value: 2 },
      { status: 'failed', error: { code: 'TASK_FAILED' } },
    ])
    const strict = await graflow.start(seq(par(add, broken), tell), 1)
    expect((await failureOf(strict.result())).code).toBe('GROUP_FAILED')
    expect((await failureOf(strict.result('0'))).code).toBe('GROUP_FAILED')
    const inner = await finished(graflow, seq(workflow('inner', seq(add, twice)), whichOf), 1)
    expect(await inner.result('0')).toBe(4)
    expect(await inner.result('1')).toBe('n = 4')
  })

  it('of a group still open are RESULT_NOT_READY', async () => {
    const graflow = await open()
    const running = nextMark(graflow, 'running')
    const run = await graflow.start(endlessPair, 1)
    await running
    expect(await failureOf(run.result('1'))).toMatchObject({ code: 'RESULT_NOT_READY', retryable: true })
    for await (const { path } of run.branches()) if (path === '1/1') break // else the end may come before its outcome
    await run.cancel()
    await failureOf(run.result())
    const error = await failureOf(run.result('1'))
    expect(error).toMatchObject({
      code: 'RESULT_NOT_FOUND',
      retryable: false,
      details: { path: '1', paths: ['0', '1/1'] },
    })
    expect(error.message).toContain('there are results at: 0, 1/1')
  })

  it('of a group that a policy joined are what it decided', async () => {
    const graflow = await open()
    const joined = await finished(graflow, judged, 1)
    expect(await joined.result()).toBe('one of 2')
    expect(await joined.result('0')).toBe('one of 2')
    const loops = await finished(graflow, counted, 0)
    expect(await loops.result('0')).toEqual(await loops.result())
    // what an error names can be had, also where handlers fork
    const forks = await finished(graflow, seq(forking, judged), 1)
    for (const run of [joined, forks]) {
      const { details } = await failureOf(run.result('0/~9'))
      const paths = details['paths'] as readonly string[]
      expect(paths).not.toEqual([])
      for (const path of paths) await run.result(path)
    }
  })

  it('of a failed branch are its error, of one never run RESULT_NOT_FOUND once the run is over', async () => {
    const graflow = await open()
    const run = await graflow.start(seq(par(add, broken).settled(), text as never), 1)
    await run.result()
    expect(await failureOf(run.result(broken))).toMatchObject({ code: 'TASK_FAILED', cause: { message: 'broken' } })
    const failed = await graflow.start(seq(par(add, broken).configure({ onFailure: 'wait' }), text as never), 1)
    await failureOf(failed.result())
    expect((await failureOf(failed.result(text))).code).toBe('RESULT_NOT_FOUND')
    expect(await failed.result(add)).toBe(2)
  })

  it('reject again and again with why the run failed', async () => {
    const graflow = await open()
    const run = await graflow.start(broken, 1 as never)
    for (let i = 0; i < 2; i += 1) expect(await failureOf(run.result())).toMatchObject({ code: 'TASK_FAILED' })
    expect((await run.status()).error).toMatchObject({ code: 'TASK_FAILED' })
  })
})

describeOnBackends('status of a run', (open, onlyEmbedded) => {
  onlyEmbedded('by a manual clock')('counts branches while it runs and when it is over', async () => {
    const clock = manualClock(1_000_000)
    const graflow = await open({ clock, maxConcurrentTasks: 2 })
    const running = nextMark(graflow, 'started 1')
    const run = await graflow.start(workflow('counting', seq(each(gated), text as never)), [1, 2, 3])
    await running
    expect(await run.status()).toEqual({
      id: run.id,
      workflow: 'counting',
      state: 'running',
      createdAt: new Date(1_000_000),
      startedAt: new Date(1_000_000),
      endedAt: undefined,
      tags: [],
      driver: expect.any(String),
      retries: 0,
      byHand: [],
      done: 0,
      total: 3,
      withdrawn: 0,
      steps: [],
      progress: [
        { path: '0/0', task: 'gated', fraction: 0, message: 'started 1', at: new Date(1_000_000) },
        { path: '0/1', task: 'gated', fraction: 0, message: 'started 2', at: new Date(1_000_000) },
      ],
      waits: [
        {
          ...{ runId: run.id, workflow: 'counting', path: '0', task: 'gated' },
          ...{ count: 1, since: new Date(1_000_000), why: 'busy' },
          details: { queue: 'default', workers: 1 },
        },
      ],
      groups: [
        {
          path: '0',
          state: 'open',
          width: 3,
          ready: 1,
          delayed: 0,
          running: 2,
          succeeded: 0,
          failed: 0,
          dead: 0,
          withdrawn: 0,
        },
      ],
      error: undefined,
    })
    clock.advance(500)
    await run.cancel('enough')
    expect(await run.status()).toMatchObject({
      state: 'cancelled',
      endedAt: new Date(1_000_500),
      done: 3,
      total: 3,
      groups: [{ state: 'withdrawn', width: 3, running: 0, ready: 0, withdrawn: 3 }],
      error: { code: 'CANCELLED' },
    })
  })

  it('of a run of several groups has them in the order of their dispatch', async () => {
    const graflow = await open()
    const run = await finished(graflow, seq(each(add), each(twice), each(par(add, twice))), [1, 2])
    const { groups, done, total, state, error } = await run.status()
    expect(groups.map(({ path, width, succeeded }) => [path, width, succeeded])).toEqual([
      ['0', 2, 2],
      ['1', 2, 2],
      ['2', 2, 2],
      ['2/0', 2, 2],
      ['2/1', 2, 2],
    ])
    expect({ done, total, state, error }).toEqual({ done: 10, total: 10, state: 'completed', error: undefined })
  })
})

const throws = (): never => {
  throw new Error('on purpose')
}
const revoked = (): unknown => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

describeOnBackends('cancelling a run', (open) => {
  it.each([
    ['in a step', endlessStep],
    ['in a branch', endlessPair],
  ])('%s fires the handlers’ signals and keeps the reason', async (_, flow) => {
    const graflow = await open()
    const log = logOf(graflow)
    const running = nextMark(graflow, 'running')
    const run = await graflow.start(flow, 1)
    await running
    const stopped = nextEvent(graflow, 'run:progress', ({ message }) => message?.startsWith('stopped') === true)
    expect(await run.cancel('the user left')).toBe(true)
    await stopped
    const error = await failureOf(run.result())
    expect(error).toMatchObject({ code: 'CANCELLED', details: { reason: 'the user left', runId: run.id } })
    expect(log).toEqual([
      'running',
      expect.stringMatching(/^stopped: CANCELLED: .* was (cancelled|withdrawn): the user left$/),
    ])
    expect((await run.status()).state).toBe('cancelled')
  })

  it('twice, or after its end, changes nothing and says so', async () => {
    const graflow = await open()
    const run = await graflow.start(endlessPair, 1)
    expect(await run.cancel('first')).toBe(true)
    expect(await run.cancel('second')).toBe(false)
    expect((await failureOf(run.result())).details).toMatchObject({ reason: 'first' })
    const over = await finished(graflow, add, 1)
    expect(await over.cancel('late')).toBe(false)
    expect(await over.result()).toBe(2)
  })

  it('without a reason has one', async () => {
    const graflow = await open()
    const run = await graflow.start(endlessPair, 1)
    await run.cancel()
    expect((await failureOf(run.result())).message).toContain('no reason given')
  })

  it('by the signal option, before and while it runs', async () => {
    const graflow = await open()
    const controller = new AbortController()
    const running = nextMark(graflow, 'running')
    const run = await graflow.start(endlessPair, 1, { signal: controller.signal })
    await running
    controller.abort(new Error('the page was closed'))
    expect(await failureOf(run.result())).toMatchObject({
      code: 'CANCELLED',
      details: { reason: 'the page was closed' },
    })
    const error = await failureOf(graflow.start(add, 1, { signal: controller.signal }))
    expect(error).toMatchObject({ code: 'CANCELLED', cause: { message: 'the page was closed' } })
  })

  it.each<[string, unknown, string]>([
    ['an object without prototype', Object.create(null), 'an empty object'],
    ['an object whose toString throws', { toString: throws }, 'an object with toString'],
    ['an error whose message throws', Object.defineProperty(new Error(), 'message', { get: throws }), 'a value that'],
    ['a proxy that answers nothing', revoked(), 'a value that cannot be looked at'],
    ['a symbol', Symbol('s'), 'a symbol'],
    ['a number', 7, '7'],
  ])('by a signal whose reason is %s, which is described, before and while it runs', async (_, reason, says) => {
    const graflow = await open()
    const controller = new AbortController()
    const running = nextMark(graflow, 'running')
    const run = await graflow.start(endlessPair, 1, { signal: controller.signal })
    await running
    controller.abort(reason)
    const error = await failureOf(run.result())
    expect(error).toMatchObject({ code: 'CANCELLED', details: { reason: expect.stringContaining(says) as string } })
    const refused = await failureOf(graflow.run(add, 1, { signal: controller.signal }))
    expect(refused.code).toBe('CANCELLED')
    expect(refused.message).toContain(says)
  })

  it('by cancel with a text that is too long to read, which is cut, and says by how much', async () => {
    const graflow = await open()
    const reason = 'why '.repeat(400_000)
    const run = await graflow.start(endlessPair, 1)
    expect(await run.cancel(reason)).toBe(true)
    const cut = expect.stringMatching(/^why why .*… \(1595904 characters more\)$/) as string
    expect(await failureOf(run.result())).toMatchObject({ code: 'CANCELLED', details: { reason: cut } })
    const own = await failureOfRun(graflow, cancelsAtLength, 1)
    expect(own).toMatchObject({ code: 'CANCELLED', details: { reason: cut } })
  })

  it('by cancel with what is no text, as callers without types can', async () => {
    const graflow = await open()
    const run = await graflow.start(endlessPair, 1)
    expect(await run.cancel(Object.create(null) as never)).toBe(true)
    expect(await failureOf(run.result())).toMatchObject({ code: 'CANCELLED', details: { reason: 'an empty object' } })
    const own = await failureOfRun(graflow, cancelsOddly, 1)
    expect(own).toMatchObject({ code: 'CANCELLED', details: { reason: 'an empty object' } })
  })

  it.each(['id', 'idempotencyKey'] as const)('by the signal of a later start that met it by its %s', async (name) => {
    const graflow = await open()
    const running = nextMark(graflow, 'running')
    const run = await graflow.start(endlessPair, 1, { [name]: 'met' })
    await running
    const controller = new AbortController()
    const same = await graflow.start(endlessPair, 1, { [name]: 'met', signal: controller.signal })
    expect(same.id).toBe(run.id)
    controller.abort('enough')
    expect(await failureOf(run.result())).toMatchObject({ code: 'CANCELLED', details: { reason: 'enough' } })
  })

  it.each([['user:42'], ['order:2026-11:7'], ['a.b@c.d+e=f'], ['user:key']])(
    'takes %s as the id of a run',
    async (id) => {
      const graflow = await open()
      const run = await graflow.start(pair, 1, { id })
      expect(await run.result()).toEqual({ left: 2, right: 2 })
      expect(run.id).toBe(id)
      const attached = await graflow.attach(id)
      expect(await attached.result()).toEqual({ left: 2, right: 2 })
      const submitted = await graflow.submit(mixed, 1, { id: `${id}:s` })
      expect(await submitted.result()).toBe(7)
    },
  )

  it.each([
    ['user/42'],
    ['{user}'],
    ['user 42'],
    [''],
    [':42'],
    ['x'.repeat(129)],
    ...['v', 'k', 'd', 'r', 'o', 'ch', 'cx', 'cn', 'cl', 'i', 'i7', 'cl:key'].map((end) => [`user:${end}`]),
  ])('refuses %j as the id of a run, and says which there are', async (id) => {
    const graflow = await open()
    const error = await failureOf(graflow.start(pair, 1, { id }))
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option: 'id' } })
    expect(error.message).toContain('run: id: expected 1 to 128 characters of A-Z a-z 0-9 _ - . : @ + =')
  })

  it('leaves no listener on a signal that outlives its runs', async () => {
    const graflow = await open()
    const { signal } = new AbortController()
    let listeners = 0
    const counting = Object.assign(signal, {
      addEventListener: (...args: unknown[]) => {
        listeners += 1
        Reflect.apply(EventTarget.prototype.addEventListener, signal, args)
      },
      removeEventListener: (...args: unknown[]) => {
        listeners -= 1
        Reflect.apply(EventTarget.prototype.removeEventListener, signal, args)
      },
    })
    for (let i = 0; i < 10; i += 1) await graflow.run(add, i, { signal: counting })
    await graflow.run(add, 1)
    expect(listeners).toBe(0)
  })

  it('does not disturb another run', async () => {
    const graflow = await open()
    const doomed = await graflow.start(endlessPair, 1)
    const other = graflow.run(mixed, 1)
    await doomed.cancel()
    expect(await other).toBe(7)
  })
})

describeOnBackends('starting a run', (open) => {
  it('with an id gives it that id; the same flow and input give the same run', async () => {
    const graflow = await open()
    const first = await graflow.start(mixed, 1, { id: 'order-17' })
    expect(first.id).toBe('order-17')
    const again = await graflow.start(mixed, 1, { id: 'order-17' })
    expect(again.id).toBe('order-17')
    expect(await Promise.all([first.result(), again.result()])).toEqual([7, 7])
    expect(await (await graflow.start(mixed, 1, { id: 'order-17' })).result()).toBe(7)
  })

  it('with the id of a run of another flow or input is RUN_EXISTS, and leaves that run alone', async () => {
    const graflow = await open()
    const running = nextMark(graflow, 'started 1')
    const run = await graflow.start(seq(gated, add), 1, { id: 'taken' })
    await running
    for (const start of [
      graflow.start(mixed, 1, { id: 'taken' }),
      graflow.start(seq(gated, add), 2, { id: 'taken' }),
    ]) {
      const error = await failureOf(start)
      expect(error.code).toBe('RUN_EXISTS')
      expect(error.message).toContain('taken')
      expect(error.details).toEqual({ runId: 'taken' })
    }
    expect((await run.status()).state).toBe('running')
    await run.cancel()
  })

  it('with an idempotency key gives the run that has it', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    const first = await graflow.start(started, [1], { idempotencyKey: 'payment 17' })
    const second = await graflow.start(started, [1], { idempotencyKey: 'payment 17' })
    const other = await graflow.start(started, [1], { idempotencyKey: 'payment 18' })
    expect(second.id).toBe(first.id)
    expect(other.id).not.toBe(first.id)
    await Promise.all([first.result(), second.result(), other.result()])
    expect(log).toEqual(['started 1', 'started 1'])
    const error = await failureOf(graflow.start(started, [2], { idempotencyKey: 'payment 17' }))
    expect(error).toMatchObject({ code: 'RUN_EXISTS', details: { runId: first.id } })
  })

  it('gives ids that differ', async () => {
    const graflow = await open()
    const runs = await Promise.all(Array.from({ length: 100 }, () => graflow.start(add, 1)))
    expect(new Set(runs.map(({ id }) => id)).size).toBe(100)
    for (const { id } of runs) expect(id).toMatch(/^[A-Za-z0-9_-]{1,128}$/)
    await Promise.all(runs.map((run) => run.result()))
  })
})

describeOnBackends(
  'time for a run',
  (open) => {
    it.each([
      ['a step', endlessStep],
      ['a group', endlessPair],
    ])('past its timeoutMs, in %s, is RUN_TIMEOUT, and what was in flight stops', async (_, flow) => {
      const clock = manualClock(1_000_000)
      const graflow = await open({ clock })
      const running = nextMark(graflow, 'running')
      const run = await graflow.start(flow, 1, { timeoutMs: 1_000 })
      await running
      const stopped = nextEvent(graflow, 'run:progress', ({ message }) => message?.startsWith('stopped') === true)
      clock.advance(999)
      expect((await run.status()).state).toBe('running')
      clock.advance(1)
      await stopped
      const error = await failureOf(run.result())
      expect(error.code).toBe('RUN_TIMEOUT')
      expect(error.details).toMatchObject({ runId: run.id, timeoutMs: 1_000 })
      expect(error.message).toContain('1000')
      expect((await run.status()).state).toBe('failed')
    })

    it('of a workflow is the timeoutMs it was made with, unless the run has its own', async () => {
      for (const [timeoutMs, options] of [
        [1_000, {}],
        [50, { timeoutMs: 50 }],
      ] as const) {
        const clock = manualClock(1_000_000)
        const graflow = await open({ clock })
        const failure = failureOf(graflow.run(slow, undefined, options))
        await nextMark(graflow, 'running')
        clock.advance(timeoutMs)
        expect(await failure).toMatchObject({ code: 'RUN_TIMEOUT', details: { timeoutMs } })
      }
    })

    it.each([
      ['a step', slowInside],
      ['a group', slowGroupInside],
    ])('of a workflow inside another flow, in %s, is TIMEOUT with its name', async (_, flow) => {
      const clock = manualClock(1_000_000)
      const graflow = await open({ clock })
      const log = logOf(graflow)
      const failure = failureOfRun(graflow, flow as typeof slowInside, 1)
      await nextMark(graflow, 'running')
      const stopped = nextEvent(graflow, 'run:progress', ({ message }) => message?.startsWith('stopped') === true)
      clock.advance(1_000)
      const error = await failure
      expect(error.code).toBe('TIMEOUT')
      expect(error.message).toMatch(/slow-(inside|group).*1000/s)
      await stopped
      expect(log.filter((entry) => entry === 'running').length).toBe(log.filter((entry) => entry !== 'running').length)
    })

    it('is no limit when none is set, and leaves no timer behind', async () => {
      const clock = manualClock(1_000_000)
      const graflow = await open({ clock, retentionMs: 1 })
      await graflow.run(mixed, 1, { timeoutMs: 1_000 })
      expect(await dueIn(clock)).toBe(1)
      clock.advance(24 * 3_600_000)
      expect(clock.nextDueMs()).toBeUndefined()
    })
  },
  { onlyEmbedded: 'by a manual clock' },
)

describeOnBackends('pausing a run', (open) => {
  it('starts nothing of it until it is resumed; what runs finishes', async () => {
    const graflow = await open({ maxConcurrentTasks: 1 })
    const log = logOf(graflow)
    const first = nextMark(graflow, 'started 1')
    const run = await graflow.start(each(gated), [1, 2])
    await first
    expect(await run.pause()).toBe(true)
    expect(await run.pause()).toBe(false)
    expect((await run.status()).state).toBe('paused')
    // Another run of one's own is the proof that the slot is free and nothing of the paused one took it.
    const settled = nextEvent(graflow, 'branch:settled')
    openGateOf(run, 'gate 1')
    await settled
    expect(await graflow.run(started, [7])).toEqual([7])
    expect(log).toEqual(['started 1', 'ended 1', 'started 7'])
    expect(await run.resume()).toBe(true)
    expect(await run.resume()).toBe(false)
    expect((await run.status()).state).toBe('running')
    openGateOf(run, 'gate 2')
    expect(await run.result()).toEqual([1, 2])
  })

  it('is no question after its end', async () => {
    const graflow = await open()
    const run = await finished(graflow, add, 1)
    expect(await run.pause()).toBe(false)
    expect(await run.resume()).toBe(false)
    expect((await run.status()).state).toBe('completed')
  })

  it('does not keep it from being cancelled', async () => {
    const graflow = await open()
    const running = nextMark(graflow, 'running')
    const run = await graflow.start(endlessPair, 1)
    await running
    await run.pause()
    expect(await run.cancel('while paused')).toBe(true)
    expect((await failureOf(run.result())).details).toMatchObject({ reason: 'while paused' })
  })
})

describeOnBackends('events of a run', (open) => {
  it('come in order, typed, and end with the run', async () => {
    const graflow = await open({ maxConcurrentTasks: 1 })
    const run = await graflow.start(eventful, 1)
    const events = await all(run.events())
    expect(events.every(({ runId, at }) => runId === run.id && at instanceof Date)).toBe(true)
    expect(events.map(short)).toEqual([
      'run:state running',
      'step:started 0 1',
      'step:settled 0 1',
      'group:dispatched both',
      'branch:started 1/one 1',
      'run:progress 1/one',
      'branch:retrying 1/one 1',
      'branch:started 1/one 2',
      'run:progress 1/one',
      'branch:settled 1/one succeeded',
      'branch:started 1/two 1',
      'branch:settled 1/two succeeded',
      'group:released both',
      'step:started 2 1',
      'step:settled 2 1',
      'run:state completed',
    ])
    expect(events.find(({ type }) => type === 'group:released')).toMatchObject({
      path: '1',
      succeeded: 2,
      failed: 0,
      withdrawn: 0,
    })
    expect(events.find(({ type }) => type === 'branch:retrying')).toMatchObject({
      task: 'flaky',
      delayMs: 0,
      error: { message: expect.stringContaining('again') },
    })
    expect(events.find(({ type }) => type === 'run:progress')).toMatchObject({
      task: 'flaky',
      fraction: 0.5,
      message: 'half',
    })
  })

  it('of a run that is over are none', async () => {
    const graflow = await open()
    const run = await finished(graflow, mixed, 1)
    expect(await all(run.events())).toEqual([])
  })

  it('of a failed run end with its failure', async () => {
    const graflow = await open()
    const run = await graflow.start(par(broken, add), 1)
    const events = await all(run.events())
    expect(events.at(-1)).toMatchObject({
      type: 'run:state',
      from: 'running',
      to: 'failed',
      error: { code: 'GROUP_FAILED' },
    })
    await failureOf(run.result())
  })

  it('say when it is paused, goes on and is cancelled', async () => {
    const graflow = await open()
    const running = nextMark(graflow, 'running')
    const run = await graflow.start(endlessPair, 1)
    const events = all(run.events())
    await running
    await run.pause()
    await run.resume()
    await run.cancel('enough')
    const states = (await events).filter(
      (event): event is RunEvent & { type: 'run:state' } => event.type === 'run:state',
    )
    expect(states.map(({ from, to }) => `${from} → ${to}`)).toEqual([
      'pending → running',
      'running → paused',
      'paused → running',
      'running → cancelled',
    ])
  })

  it('may be left, and read by several', async () => {
    const graflow = await open()
    const run = await graflow.start(eventful, 1)
    const [whole] = await Promise.all([
      all(run.events()),
      (async () => {
        for await (const _ of run.events()) break
      })(),
    ])
    expect(whole.length).toBeGreaterThan(5)
  })

  it('that nobody reads cost nothing once the run is over', async () => {
    const graflow = await open()
    const { events } = graflow as unknown as { events: { has(name: string): boolean } }
    const run = await graflow.start(mixed, 1)
    run.events()
    expect(events.has('branch:settled')).toBe(true)
    await run.result()
    expect(events.has('branch:settled')).toBe(false)
  })

  it('of the client are those of all its runs, until unsubscribed', async () => {
    const graflow = await open()
    const states: string[] = []
    const off = graflow.events.subscribe('run:state', ({ runId, workflow, from, to }) => {
      states.push(`${runId} ${workflow} ${from} → ${to}`)
    })
    await graflow.run(eventful, 1, { id: 'one' })
    await graflow.run(add, 1, { id: 'two' })
    off()
    off()
    await graflow.run(add, 1, { id: 'three' })
    expect(states).toEqual([
      'one eventful pending → running',
      'one eventful running → completed',
      'two undefined pending → running',
      'two undefined running → completed',
    ])
  })
})

describeOnBackends('branches of a run', (open) => {
  it('are given as they arrive', async () => {
    const graflow = await open()
    const run = await graflow.start(each(gated), [1, 2, 3])
    const seen: unknown[] = []
    const order = [2, 3, 1]
    openGateOf(run, 'gate 2')
    for await (const outcome of run.branches()) {
      seen.push(outcome)
      openGateOf(run, `gate ${order[seen.length]}`)
    }
    expect(seen).toEqual(
      order.map((n) => ({
        path: `0/${n - 1}`,
        task: 'gated',
        index: n - 1,
        status: 'succeeded',
        outcome: { status: 'succeeded', value: n },
      })),
    )
    expect(await run.result()).toEqual([1, 2, 3])
  })

  it('are all given when asked late, with failures and what was never run', async () => {
    const graflow = await open()
    const run = await graflow.start(seq(par({ ok: add, bad: broken, never: twice }).configure({ concurrency: 1 })), 1)
    await failureOf(run.result())
    const outcomes = await all(run.branches())
    expect(outcomes.map(({ path, task, index, status }) => ({ path, task, index, status }))).toEqual([
      { path: '0/ok', task: 'add', index: 0, status: 'succeeded' },
      { path: '0/bad', task: 'broken', index: 1, status: 'failed' },
      { path: '0/never', task: 'twice', index: 2, status: 'skipped' },
    ])
    expect(outcomes.map(({ outcome }) => outcome)).toMatchObject([
      { status: 'succeeded', value: 2 },
      { status: 'failed', error: { code: 'TASK_FAILED' } },
      { status: 'skipped', error: { code: 'SKIPPED' } },
    ])
  })

  it('are those of all groups, also nested ones and those after them', async () => {
    const graflow = await open()
    const run = await graflow.start(seq(each(pair), each(text as never)), [1, 2])
    const outcomes = await all<BranchOutcome>(run.branches())
    expect(outcomes.map(({ path }) => path).sort()).toEqual(
      ['0/0', '0/0/left', '0/0/right', '0/1', '0/1/left', '0/1/right', '1/0', '1/1'].sort(),
    )
    expect(outcomes.every(({ status }) => status === 'succeeded')).toBe(true)
    await run.result()
  })

  it('of 10 000 items are 10 000, each once', async () => {
    const graflow = await open()
    const run = await graflow.start(
      each(add),
      Array.from({ length: 10_000 }, (_, i) => i),
    )
    const seen = new Set<number>()
    for await (const { index, outcome } of run.branches()) {
      if (seen.has(index)) throw new Error(`branch ${index} came twice`)
      seen.add(index)
      if (outcome.status !== 'succeeded' || outcome.value !== index + 1) throw new Error(`wrong outcome of ${index}`)
    }
    expect(seen.size).toBe(10_000)
  })
})

describeOnBackends('submitting and attaching', (open, onlyEmbedded) => {
  it('a submitted run is driven without its producer waiting', async () => {
    const graflow = await open()
    const run = await graflow.submit(mixed, 1)
    expect(await run.result()).toBe(7)
    expect(await run.result(twice)).toBe(4)
    expect((await run.status()).state).toBe('completed')
  })

  onlyEmbedded('by a manual clock')(
    'a submitted run that fails, finishes or times out ends as a started one',
    async () => {
      const clock = manualClock(1_000_000)
      const graflow = await open({ clock })
      expect(await failureOf((await graflow.submit(broken, 1 as never)).result())).toMatchObject({
        code: 'TASK_FAILED',
      })
      const running = nextMark(graflow, 'running')
      const run = await graflow.submit(endlessPair, 1, { timeoutMs: 1_000 })
      await running
      clock.advance(1_000)
      expect(await failureOf(run.result())).toMatchObject({ code: 'RUN_TIMEOUT', details: { timeoutMs: 1_000 } })
    },
  )

  it('a submitted run is cancelled, paused and named like a started one', async () => {
    const graflow = await open()
    const running = nextMark(graflow, 'running')
    const run = await graflow.submit(endlessStep, 1, { id: 'later' })
    await running
    expect((await graflow.submit(endlessStep, 1, { id: 'later' })).id).toBe('later')
    expect((await failureOf(graflow.submit(mixed, 1, { id: 'later' }))).code).toBe('RUN_EXISTS')
    await run.cancel('done')
    expect(await failureOf(run.result())).toMatchObject({ code: 'CANCELLED', details: { reason: 'done' } })
  })

  it('a handle from attach is as good as the first', async () => {
    const graflow = await open()
    const running = nextMark(graflow, 'running')
    const { id } = await graflow.start(endlessPair, 1)
    await running
    const run = await graflow.attach(id)
    expect((await run.status()).state).toBe('running')
    expect(await run.result('0')).toBe(2)
    expect(await run.cancel('from afar')).toBe(true)
    expect((await failureOf(run.result())).details).toMatchObject({ reason: 'from afar' })
    const over = await finished(graflow, mixed, 1)
    const typed: number = await (await graflow.attach(over.id, mixed)).result()
    expect(typed).toBe(7)
  })

  it('attach and resume take a flow whose options are others than the run’s', async () => {
    const graflow = await open()
    const { id } = await finished(
      graflow,
      seq(
        task('first', (n: number) => n + 1),
        task('second', (n: number) => n * 2),
      ),
      1,
    )
    const changed = seq(
      task('first', { retry: { attempts: 3 } }, (n: number) => n + 1),
      task('second', { timeoutMs: 5_000 }, (n: number) => n * 2),
    )
    expect(await (await graflow.attach(id, changed)).result()).toBe(4)
    expect(await (await graflow.resume(id, changed)).result()).toBe(4)
    const other = seq(
      task('first', (n: number) => n + 1),
      task('third', (n: number) => n * 2),
    )
    for (const call of [graflow.attach(id, other), graflow.resume(id, other)])
      expect(await failureOf(call)).toMatchObject({ code: 'GRAPH_MISMATCH' })
    expect((await failureOf(graflow.resume('nobody'))).code).toBe('RUN_NOT_FOUND')
    expect((await failureOf(graflow.resume(7 as never))).code).toBe('INVALID_OPTION')
  })

  it('attach refuses a flow that is not the one of the run', async () => {
    const graflow = await open()
    const { id } = await finished(graflow, mixed, 1)
    const error = await failureOf(graflow.attach(id, endlessPair))
    expect(error).toMatchObject({ code: 'GRAPH_MISMATCH', details: { runId: id } })
    expect(error.details['graph']).not.toBe(error.details['given'])
    expect((await failureOf(graflow.attach('nobody', mixed))).code).toBe('RUN_NOT_FOUND')
  })
})

const short = (event: RunEvent): string => {
  switch (event.type) {
    case 'run:state':
      return `${event.type} ${event.to}`
    case 'run:progress':
      return `${event.type} ${event.path}`
    case 'run:omitted':
      return `${event.type} ${event.count}`
    case 'group:dispatched':
    case 'group:released':
      return `${event.type} ${event.name ?? ''}`
    case 'branch:settled':
      return `${event.type} ${event.path} ${event.status}`
    case 'branch:started':
    case 'branch:retrying':
    case 'step:started':
    case 'step:settled':
    case 'step:retrying':
      return `${event.type} ${event.path} ${event.attempt}`
  }
}
