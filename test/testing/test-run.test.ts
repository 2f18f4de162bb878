import {
  again,
  done,
  each,
  GraflowError,
  loop,
  par,
  policy,
  seq,
  task,
  workflow,
  declareTask,
  choose,
  later,
  waitFor,
  type Node,
} from 'graflow'
import { failAttempt, hang, loseWorker, standIn, testRun } from 'graflow/testing'
import * as z from 'zod'
import { failureOf } from '../support/captured-errors.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR

const words = task('words', (text: string) => text.split(' '))
const upper = task('upper', async (word: string) => word.toUpperCase())
const join = task('join', (all: readonly string[]) => all.join(' '))
const shout = seq(words, each(upper), join)

describe('a test run', () => {
  it('runs a flow to its end, and tells each start', async () => {
    const test = await testRun(shout, 'to be')
    expect(test.state).toBe('over')
    expect(await test.result()).toBe('TO BE')
    expect(test.starts).toEqual([
      { task: 'words', path: '0', attempt: 1, atMs: 0, input: 'to be' },
      { task: 'upper', path: '1/0', attempt: 1, atMs: 0, input: 'to' },
      { task: 'upper', path: '1/1', attempt: 1, atMs: 0, input: 'be' },
      { task: 'join', path: '2', attempt: 1, atMs: 0, input: ['TO', 'BE'] },
    ])
    expect(await test.run.result(words)).toEqual(['to', 'be'])
  })

  it('takes no input where the flow takes none', async () => {
    expect(await (await testRun(task('five', () => 5))).result()).toBe(5)
  })

  it('is the same every time: ids, times and chance', async () => {
    const ids: string[] = []
    const flaky = task('flaky', { retry: { attempts: 4, delayMs: 1_000, jitter: 1 } }, (_: number, ctx) => {
      ids.push(`${ctx.runId} ${ctx.idempotencyKey}`)
      if (ctx.attempt < 4) throw new Error('not yet')
      return ctx.attempt
    })
    const seen = async (seed?: number): Promise<unknown> => {
      const test = await testRun(flaky, 1, seed === undefined ? {} : { seed })
      await test.result()
      return { starts: test.starts, ids: ids.splice(0), now: test.clock.now(), status: await test.run.status() }
    }
    const first = await seen()
    expect(await seen()).toEqual(first)
    expect(await seen(2)).not.toEqual(first)
    expect(first).toMatchObject({ ids: Array(4).fill('test test/0') })
  })

  it('stops at a retry, which time passes', async () => {
    const flaky = task('flaky', { retry: { attempts: 3, delayMs: HOUR, factor: 2 } }, (n: number, ctx) => {
      if (ctx.attempt < 3) throw new Error('not yet')
      return n
    })
    const test = await testRun(each(flaky), [7])
    expect(test.state).toBe('waiting')
    expect(await test.waits()).toMatchObject([
      { why: 'delay', task: 'flaky', path: '0/0', dueInMs: HOUR, error: { cause: { message: 'not yet' } } },
    ])
    expect(await test.advance(HOUR - 1)).toBe('waiting')
    expect(test.starts).toHaveLength(1)
    expect(await test.advance(1)).toBe('waiting')
    expect(test.starts).toHaveLength(2)
    expect(await test.advanceToNextTimer()).toBe('over')
    expect(await test.result()).toEqual([7])
    expect(test.starts.map(({ atMs }) => atMs)).toEqual([0, HOUR, 3 * HOUR])
    expect(await test.waits()).toEqual([])
  })

  it('passes three days of retries in a moment', async () => {
    const daily = task('daily', { retry: { attempts: 4, delayMs: DAY } }, (n: number) => n)
    const started = performance.now()
    const test = await testRun(seq(daily, daily), 1, {
      startAt: new Date('2026-01-01T00:00:00Z'),
      faults: [1, 2, 3].map((attempt) => failAttempt(daily, attempt, undefined, { path: '1' })),
    })
    expect(await test.result()).toBe(1)
    expect(new Date(test.clock.now()).toISOString()).toBe('2026-01-04T00:00:00.000Z')
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it('rejects as the run fails', async () => {
    const fails = task('fails', () => {
      throw new Error('no')
    })
    const test = await testRun(par(fails, fails).settled())
    expect(test.state).toBe('over')
    expect((await test.result()).map(({ status }) => status)).toEqual(['failed', 'failed'])
    const failing = await testRun(fails)
    expect(await failureOf(failing.result())).toMatchObject({ code: 'TASK_FAILED', cause: { message: 'no' } })
    expect((await failing.run.status()).state).toBe('failed')
  })

  it('plays loops, choices, forks, policies and what handlers direct', async () => {
    const count = loop(
      task('count', (n: number) => (n < 3 ? again(n + 1) : done(n))),
      { maxCycles: 5 },
    )
    const fork = task('fork', async (n: number, ctx) =>
      ctx.run(
        each(upper),
        Array.from({ length: n }, () => 'x'),
      ),
    )
    const pick = choose(
      task('pick', () => 'y'),
      { x: join, y: join },
    )
    const least = par(join, join).join(policy('one', async (outcomes) => outcomes.length))
    const extra = task('extra', () => undefined)
    const detour = task('detour', (n: number, ctx) => {
      ctx.next(extra)
      return n
    })
    const test = await testRun(seq(detour, count, fork, pick), 0)
    expect(await test.result()).toBe('X X X')
    expect(test.starts.map((start) => start.task).filter((name) => name === 'extra')).toHaveLength(1)
    expect(await (await testRun(least, ['a'])).result()).toBe(2)
  })

  it('runs a task that asks for a thread in this one, without what it would lack there', async () => {
    const here = task('here', { isolation: 'thread' }, (n: number) => n + 1)
    expect(await (await testRun(each(here), [1])).result()).toEqual([2])
    const forking = task('forking', { isolation: 'thread' }, (n: number, ctx) => ctx.run(here, n))
    expect(await failureOf((await testRun(forking, 1)).result())).toMatchObject({ cause: { code: 'NOT_IN_THREAD' } })
  })

  it('waits for what a handler really does, while its clock stands still', async () => {
    const real = task('real', { timeoutMs: 50 }, async (n: number) => {
      await new Promise((resolve) => setTimeout(resolve, 100))
      return n
    })
    const test = await testRun(seq(real, real), 1)
    expect([test.state, await test.result(), test.clock.now() - Date.UTC(2000, 0, 1)]).toEqual(['over', 1, 0])
  })

  it('says that a handler is at work for longer than it was granted', async () => {
    const hangs = task('hangs', { timeoutMs: 5_000 }, (_: number, ctx) => {
      return new Promise<number>((_resolve, reject) => {
        ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error))
      })
    })
    const test = await testRun(hangs, 1, { workMs: 20 })
    expect(test.state).toBe('working')
    const early = await failureOf(test.result())
    expect(early.code).toBe('RESULT_NOT_READY')
    expect(early.message).toContain('task "hangs" (at 0), which is at work for more than 20 ms of real time')
    expect(early.message).toContain('the next timer is due in 5000 ms')
    expect(await test.advance(4_999)).toBe('working')
    expect(await test.advance(1)).toBe('over')
    expect(await failureOf(test.result())).toMatchObject({ code: 'TIMEOUT' })
  })

  it('says of a run that is paused that time does not end it', async () => {
    const flaky = task('flaky', { retry: { attempts: 2, delayMs: 1_000 } }, (n: number) => n)
    const test = await testRun(flaky, 1, { faults: [failAttempt(flaky, 1)] })
    await test.run.pause()
    await test.advance(5_000)
    expect(await failureOf(test.result())).toMatchObject({
      code: 'RESULT_NOT_READY',
      message: 'run "test" is paused: call run.resume()',
    })
    await test.run.resume()
    expect(await test.result()).toBe(1)
  })

  it('can be cancelled, and closed while it waits', async () => {
    const flaky = task('flaky', { retry: { attempts: 2, delayMs: 1_000 } }, (n: number) => n)
    const waiting = { faults: [failAttempt(flaky, 1)] }
    const cancelled = await testRun(flaky, 1, waiting)
    await cancelled.run.cancel('enough')
    expect(await cancelled.settle()).toBe('over')
    expect(await failureOf(cancelled.result())).toMatchObject({ code: 'CANCELLED' })
    const closed = await testRun(flaky, 1, waiting)
    await closed.close()
    await closed.close()
    expect(await failureOf(closed.result())).toMatchObject({ code: 'CLOSED' })
  })

  it('takes options of the run, and a deadline of it', async () => {
    const slow = task('slow', (n: number) => n)
    const test = await testRun(workflow('whole', slow), 1, {
      faults: [hang(slow)],
      run: { id: 'mine', timeoutMs: 60_000 },
    })
    expect(test.run.id).toBe('mine')
    expect(test.state).toBe('waiting')
    expect(await test.advance(60_000)).toBe('over')
    expect(await failureOf(test.result())).toMatchObject({ code: 'RUN_TIMEOUT' })
  })

  it('sleeps and waits for people, in branches, items and handlers, however long', async () => {
    const nap = task('nap', async (n: number, ctx) => {
      await ctx.sleep(n * DAY)
      return ctx.waitFor<never, string>('go', { timeoutMs: DAY, onTimeout: 'late' })
    })
    const flow = par({
      nap,
      later: later(join, (n) => new Date(Date.UTC(2000, 0, 1) + Number(n) * DAY)) as never,
      ask: waitFor('ask'),
    }).settled()
    const test = await testRun(flow as Node<number, Record<string, { status: string; value?: unknown }>>, 2, {
      replace: [standIn(join, () => 'joined')],
    })
    expect(test.state).toBe('waiting')
    expect(await test.waits()).toMatchObject([
      { why: 'timer', dueInMs: 2 * DAY },
      { why: 'timer', dueInMs: 2 * DAY },
      { why: 'signal', path: '0/ask', signal: 'ask' },
    ])
    await test.advance(2 * DAY)
    expect(test.starts.filter(({ task }) => task === 'join')).toMatchObject([{ atMs: 2 * DAY }])
    expect((await test.waits()).map(({ why, signal, dueInMs }) => `${why} ${signal} ${dueInMs}`)).toEqual([
      `signal go ${DAY}`,
      'signal ask undefined',
    ])
    expect(await test.signal('ask', 'yes')).toBe(true)
    expect(await test.signal('ask', 'no')).toBe(false)
    const { nap: napped, ask } = await test.result()
    expect([napped?.value, ask?.value]).toEqual(['late', 'yes'])
    expect(test.clock.now()).toBe(Date.UTC(2000, 0, 4))
    expect(await test.signal('ask', 'no')).toBe(false)
  })

  it('says which signal a run waits for that no time ends, and whose payload is refused', async () => {
    const test = await testRun(seq(waitFor('ok', { schema: z.object({ by: z.string() }) }), by), undefined)
    const error = await failureOf(test.result())
    expect(error).toMatchObject({ code: 'RESULT_NOT_READY' })
    expect(error.message).toBe('run "test" waits for the signal "ok" (at 0): send it with signal(name, payload)')
    expect(await failureOf(test.signal('ok', 1))).toMatchObject({ code: 'INVALID_INPUT' })
    expect(await test.signal('ok', { by: 'Ada' })).toBe(true)
    expect([test.state, await test.result()]).toEqual(['over', 'Ada'])
    const asks = task('asks', (_: undefined, ctx) => ctx.waitFor('more'))
    const asking = await testRun(asks, undefined)
    expect((await failureOf(asking.result())).message).toContain('waits for the signal "more" (at 0/~1)')
    await asking.signal('more', 1)
    expect(await asking.result()).toBe(1)
  })

  it('loses the worker of a handler that sleeps, and another one sleeps the rest', async () => {
    const first = task('first', (n: number) => n)
    const sleeps = task('sleeps', async (n: number, ctx) => {
      await ctx.sleep(DAY)
      await ctx.run(first, n)
      return n
    })
    const test = await testRun(each(sleeps), [1], { faults: [loseWorker(first)] })
    expect(await test.result()).toEqual([1])
    expect(test.clock.now()).toBe(Date.UTC(2000, 0, 2))
    expect(test.starts.map(({ task, atMs }) => `${task} ${atMs / DAY}`)).toEqual(
      expect.arrayContaining(['sleeps 0', 'sleeps 1', 'first 1', 'first 1']),
    )
  })

  it.each<[string, () => Promise<unknown>, string, string]>([
    [
      'an unknown option',
      () => testRun(upper, 'a', { replaces: [] } as object),
      'INVALID_OPTION',
      'testRun: replaces: there is no such option (did you mean "replace"?)',
    ],
    [
      'a handler for a stand-in',
      () => testRun(upper, 'a', { replace: [() => 'x'] as never }),
      'INVALID_OPTION',
      'testRun: replace: expected a list of what standIn(task, handler) makes',
    ],
    ['an odd date', () => testRun(upper, 'a', { startAt: new Date(Number.NaN) }), 'INVALID_OPTION', 'testRun: startAt'],
    ['what is no flow', () => testRun({} as never, 'a'), 'INVALID_NODE', 'submit'],
    [
      'time that goes back',
      async () => (await testRun(upper, 'a')).advance(-1),
      'INVALID_OPTION',
      'advance takes an integer of 0 or more (ms), got -1',
    ],
  ])('refuses %s', async (_what, begin, code, says) => {
    const error = await failureOf(begin())
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(says)])
  })
})

describe('a stand-in', () => {
  it('takes the place of a task wherever it runs', async () => {
    const fork = task('fork', async (word: string, ctx) => ctx.run(upper, word))
    const test = await testRun(seq(shout, fork), 'to be', {
      replace: [standIn(upper, (word, ctx) => `${word}${ctx.path}`)],
    })
    expect(await test.result()).toBe('to1/0 be1/13/~1/0')
    expect(test.unmet).toEqual([])
  })

  it('gives a declared task a handler, and may direct', async () => {
    const score = declareTask<string, number>('score', { retry: { attempts: 2, delayMs: 1_000 } })
    const test = await testRun(score, 'a', {
      replace: [standIn(score, (_text, ctx) => (ctx.attempt === 1 ? Promise.reject(new Error('no')) : ctx.finish(3)))],
    })
    expect(await test.result()).toBe(3)
    expect(test.starts.map(({ atMs }) => atMs)).toEqual([0, 1_000])
  })

  it('gets what callers give, checked by the schema', async () => {
    const seen: unknown[] = []
    const parse = task('parse', { input: z.string().transform(Number) }, (n: number) => n)
    const options = {
      replace: [
        standIn(parse, (text) => {
          seen.push(text)
          return text.length
        }),
      ],
    }
    expect(await (await testRun(parse, '123', options)).result()).toBe(3)
    expect(seen).toEqual(['123'])
    expect(await failureOf((await testRun(parse, 5 as never, options)).result())).toMatchObject({
      code: 'INVALID_INPUT',
    })
  })

  it('that no start met is told', async () => {
    const other = task('other', (n: number) => n)
    const test = await testRun(upper, 'a', { replace: [standIn(other, () => 1)], faults: [hang(upper, 2)] })
    expect(test.unmet).toMatchObject([{ task: 'other' }, { kind: 'hang', task: 'upper', attempt: 2 }])
  })

  it('is refused for what is no task, or without a handler', () => {
    expect(() => standIn(shout as never, (() => 1) as never)).toThrow('standIn takes a task, got a sequence')
    expect(() => standIn(upper, 'x' as never)).toThrow('standIn: "upper": the handler must be a function, got "x"')
    expect(() => failAttempt(upper, 0)).toThrow('failAttempt: "upper": attempts are counted from 1, got 0')
    expect(() => hang(upper, 1, { pth: '1' } as object)).toThrow('hang: "upper": there is no option pth')
  })
})

describe('a fault', () => {
  it('fails an attempt, with an error of the test where it gives one', async () => {
    const pay = task('pay', { retry: { attempts: 3 } }, (n: number) => n)
    const declined = new GraflowError('BACKPRESSURE', 'declined')
    const test = await testRun(seq(pay, pay), 1, {
      faults: [failAttempt(pay, 1, undefined, { path: '1' }), failAttempt(pay, 2, declined, { path: '1' })],
    })
    expect(await test.result()).toBe(1)
    expect(test.starts.map(({ path, attempt }) => `${path}#${attempt}`)).toEqual(['0#1', '1#1', '1#2', '1#3'])
  })

  it('hangs a start until its deadline', async () => {
    const call = task('call', { timeoutMs: 30_000, retry: { attempts: 2, delayMs: 1_000 } }, (n: number) => n)
    const test = await testRun(each(call), [1, 2], { faults: [hang(call, 1, { path: '0/1' })] })
    expect(test.state).toBe('waiting')
    expect(await test.result()).toEqual([1, 2])
    expect(test.starts.at(-1)).toMatchObject({ path: '0/1', attempt: 2, atMs: 31_000 })
  })

  const first = task('first', (n: number) => n + 1)
  const second = task('second', (n: number) => n * 2)
  const forking = task('forking', async (n: number, ctx) => ctx.run(seq(first, second), n))

  it.each<[string, Node<number, unknown>, unknown]>([
    ['a step', seq(first, second), 4],
    ['a branch', par(second, first), [2, 2]],
    ['a chain', par(seq(first, second), first), [4, 2]],
    ['a fork', forking, 4],
  ])('loses the worker in %s', async (_place, flow, result) => {
    const test = await testRun(flow, 1, { faults: [loseWorker(second)] })
    expect(await test.result()).toEqual(result)
    const starts = test.starts.filter((start) => start.task === 'second')
    expect(starts.map(({ attempt }) => attempt)).toEqual([1, 2])
    expect(test.unmet).toEqual([])
  })

  it('loses the worker, and the branches that had finished are not run again', async () => {
    const sum = task('sum', (all: readonly number[]) => all.reduce((a, b) => a + b, 0))
    const test = await testRun(seq(each(first), sum, second), [1, 2, 3], { faults: [loseWorker(second)] })
    expect(await test.result()).toBe(18)
    expect(test.starts.filter((start) => start.task === 'first')).toHaveLength(3)
  })

  it('loses the worker after a handler has ended: its effects are there twice, its result once', async () => {
    const effects: string[] = []
    const charge = task('charge', (n: number, ctx) => {
      effects.push(ctx.idempotencyKey)
      return n
    })
    const test = await testRun(seq(charge, text), 5, { faults: [loseWorker(charge, 1, { after: true })] })
    expect(await test.result()).toBe('5')
    expect(effects).toEqual(['test/0', 'test/0'])
  })

  it('loses workers until the task is dead', async () => {
    const poison = task('poison', { maxLosses: 2 }, (n: number) => n)
    const faults = [1, 2, 3].map((attempt) => loseWorker(poison, attempt))
    const test = await testRun(poison, 1, { faults })
    expect(await failureOf(test.result())).toMatchObject({ code: 'BRANCH_DEAD' })
    expect(test.starts.map(({ attempt }) => attempt)).toEqual([1, 2, 3])
  })

  it('frees a lock that the lost worker had', async () => {
    const guarded = task('guarded', async (n: number, ctx) =>
      ctx.channel.lock('door', { waitMs: 60_000 }, async () => {
        await ctx.channel.append('in', n)
        return ctx.run(inner, n)
      }),
    )
    const inner = task('inner', (n: number) => n)
    const test = await testRun(each(guarded), [1, 2], { faults: [loseWorker(inner)] })
    expect([...(await test.result())]).toEqual([1, 2])
  })
})

const by = task('by', (answer: { by: string }) => answer.by)
const text = task('text', (n: number) => String(n))
