/** Waiting for time and for people. Where processes die meanwhile see test/faults/waits.test.ts. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { each, later, loop, again, done, par, seq, task, waitFor, workflow, type Graflow, type Run } from 'graflow'
import { z } from 'zod'
import { failureOf } from '../support/captured-errors.js'
import { describeOnBothStores } from '../support/both-stores.js'
import { Gate } from '../support/gate.js'
import { until, within } from '../support/waits.js'

const ANY_MS = 20_000

/** Resolves once the run has this state. */
const untilState = (run: Run<unknown>, state: string): Promise<void> =>
  until(async () => (await run.status()).state === state, `the run is ${state}`)

const resultOf = <T>(run: Run<T>): Promise<T> => within(ANY_MS, run.result(), 'the result')

/** Takes `{ ok: boolean }` alone, and gives what it says. */
const verdict: StandardSchemaV1<{ ok: boolean }, boolean> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) =>
      typeof value === 'object' && value !== null && 'ok' in value && typeof value.ok === 'boolean'
        ? { value: value.ok }
        : { issues: [{ message: 'expected { ok }' }] },
  },
}

const a = task('a', (n: number) => n + 1)
const b = task('b', (n: number) => n * 10)
const echo = task('echo', (value: unknown) => value)

describeOnBothStores('a wait', (open, name, another) => {
  it('T1: 200 runs that sleep are held by nobody, and go on when it is time, not before', async () => {
    const at: { first: number; last: number }[] = []
    const first = task('first', (n: number) => {
      at[n] = { first: performance.now(), last: 0 }
      return n
    })
    const last = task('last', (n: number) => {
      const times = at[n]
      if (times !== undefined) times.last = performance.now()
      return n
    })
    const flow = seq(first, later(last, 1_500))
    const graflow = await open([flow])
    const runs = await Promise.all(Array.from({ length: 200 }, (_, n) => graflow.submit(flow, n)))
    const isWaiting = async (run: Run<unknown>): Promise<boolean> => (await run.status()).state === 'waiting'
    await until(
      async () => at.filter(Boolean).length === runs.length && (await isWaiting(runs[199] as Run<number>)),
      'all',
    )
    expect(await graflow.waits.of(runs[199]?.id ?? '')).toMatchObject([{ path: '1', count: 1, why: 'timer' }])
    const results = await within(ANY_MS, Promise.all(runs.map((run) => run.result())), 'all results')
    expect(results).toEqual(runs.map((_, n) => n))
    const slept = at.map((times) => times.last - times.first)
    expect(Math.min(...slept)).toBeGreaterThanOrEqual(1_499)
    expect(Math.max(...slept)).toBeLessThan(8_000)
  })

  it('goes on at the date that a function of the input gives, in a started run', async () => {
    const dated = later(b, (n) => new Date(Date.now() + n))
    const graflow = await open([dated])
    const run = await graflow.start(seq(a, dated), 299)
    await untilState(run, 'waiting')
    expect(await resultOf(run)).toBe(3_000)
    expect(await graflow.run(later(b, 0), 4)).toBe(40)
  })

  it('T3: a signal that comes first is kept, the first one counts, and one for a run that is over is refused', async () => {
    const gate = new Gate()
    const slow = task('slow', async (n: number) => {
      await gate.pass()
      return n
    })
    const flow = seq(slow, waitFor('ok'), echo)
    const graflow = await open([flow])
    const run = await graflow.start(flow, 1)
    await gate.reached(1)
    expect(await run.signal('ok', { by: 'Ada' })).toBe(true)
    expect(await run.signal('ok', { by: 'Bob' })).toBe(false)
    gate.open()
    expect(await resultOf(run)).toEqual({ by: 'Ada' })
    expect(await run.signal('ok', { by: 'Eve' })).toBe(false)
  })

  it('T3: a payload that the schema refuses is the sender’s error, and the wait goes on', async () => {
    const flow = seq(waitFor('ok', { schema: verdict }), echo)
    const graflow = await open([flow])
    const run = await graflow.start(flow, undefined)
    await untilState(run, 'waiting')
    const error = await failureOf(run.signal('ok', { ok: 'yes' }))
    expect(error).toMatchObject({ code: 'INVALID_INPUT', details: { signal: 'ok' } })
    expect(error.message).toBe('the payload of the signal "ok" does not fit the schema of its wait: expected { ok }')
    expect((await run.status()).state).toBe('waiting')
    expect(await run.signal('ok', { ok: true })).toBe(true)
    expect(await resultOf(run)).toBe(true)
  })

  it('T3: a payload from a process that does not know the schema is refused where the wait is', async () => {
    const flow = seq(a, waitFor('ok', { schema: verdict }), echo)
    const graflow = await open([flow])
    const run = await graflow.submit(flow, 1)
    await untilState(run, 'waiting')
    const other = await another()
    const sent = await other.attach(run.id)
    if (name === 'embedded') return // it is the same process, which knows the schema
    expect(await sent.signal('ok', 'anything')).toBe(true)
    await until(async () => (await graflow.waits.of(run.id))[0]?.why === 'signal', 'it waits again')
    const [wait] = await graflow.waits.of(run.id)
    expect(wait).toMatchObject({ path: '1', details: { signal: 'ok' } })
    expect(wait?.details.refused).toEqual({
      message: 'expected { ok }',
      issues: [{ path: '', message: 'expected { ok }' }],
    })
    expect(await sent.signal('ok', { ok: false })).toBe(true)
    expect(await resultOf(run)).toBe(false)
  })

  it('T3: a payload that only the schema takes, since it changes it first, is sent from everywhere', async () => {
    const schema = z.object({ n: z.coerce.number().max(9) })
    const asks = task('asks', (_: number, ctx) => ctx.waitFor('ok', { schema, prompt: { title: 'How many?' } }))
    const graflow = await open([asks])
    const run = await graflow.submit(asks, 1)
    await until(async () => (await graflow.waits.of(run.id))[0]?.why === 'signal', 'the question')
    expect((await graflow.waits.of(run.id))[0]?.prompt?.form).toMatchObject({ type: 'object' })
    expect(await (await (await another()).attach(run.id)).signal('ok', { n: '5' })).toBe(true)
    expect(await resultOf(run)).toEqual({ n: 5 })
  })

  it('T3: a payload that came before its wait, and that the schema refuses, is told with the wait that goes on', async () => {
    const gate = new Gate()
    const asks = task('asks', async (_: number, ctx) => {
      await gate.pass()
      const schema = z.object({ ok: z.boolean() })
      return ctx.waitFor('ok', { schema, prompt: { title: 'Is it good?', choices: ['yes'] } })
    })
    const graflow = await open([asks])
    const run = await graflow.start(asks, 1)
    await gate.reached(1)
    expect(await run.signal('ok', { ok: 'x'.repeat(300) })).toBe(true)
    gate.open()
    await until(async () => (await graflow.waits.of(run.id))[0]?.details.refused !== undefined, 'it is told')
    const [wait] = await graflow.waits.of(run.id)
    expect(wait).toMatchObject({
      ...{ path: '0/~1', task: 'asks', why: 'signal', prompt: { title: 'Is it good?', choices: ['yes'] } },
      details: { refused: { message: 'ok: Invalid input: expected boolean, received string' } },
    })
    expect(await run.signal('ok', { ok: true })).toBe(true)
    expect(await resultOf(run)).toEqual({ ok: true })
  })

  it('T3: a payload is the sender’s error also where only the store knows the schema: of a flow, of each item, of a handler', async () => {
    const schema = z.object({ amount: z.number().max(500), mail: z.email().optional() })
    const asks = task('asks', (_: number, ctx) => ctx.waitFor('inside', { schema }))
    const flow = seq(
      each(waitFor('paid', { schema })),
      task('first', (all: readonly unknown[]) => all.length),
      asks,
    )
    const graflow = await open([flow])
    const run = await graflow.submit(flow, [1, 2])
    await untilState(run, 'waiting')
    const other = await (await another()).attach(run.id)
    const refused = await failureOf(other.signal('paid', { amount: 501 }, { index: 1 }))
    expect(refused).toMatchObject({
      ...{ code: 'INVALID_INPUT', details: { signal: 'paid', issues: [{ path: 'amount' }] } },
      message: expect.stringMatching(/^the payload of the signal "paid" does not fit the schema of its wait: amount: /),
    })
    expect((await graflow.waits.of(run.id)).map(({ details: { schema, refused } }) => [schema, refused])).toEqual(
      [0, 1].map(() => [expect.objectContaining({ type: 'object' }), undefined]),
    )
    expect((await failureOf(other.signal('paid', undefined, { index: 1 }))).code).toBe('INVALID_INPUT')
    for (const index of [0, 1]) expect(await other.signal('paid', { amount: 5 }, { index })).toBe(true)
    await until(async () => (await graflow.waits.of(run.id))[0]?.path === '2/~1', 'the handler waits')
    expect((await failureOf(other.signal('inside', 'all'))).code).toBe('INVALID_INPUT')
    expect((await failureOf(other.signal('inside'))).code).toBe('INVALID_INPUT')
    expect((await failureOf(other.signal('inside', { amount: 1, mail: 7 }))).code).toBe('INVALID_INPUT')
    expect(await other.signal('inside', { amount: 7, mail: 'ada@example.org' })).toBe(true)
    expect(await resultOf(run)).toEqual({ amount: 7, mail: 'ada@example.org' })
  })

  it('T3: no payload is one that a schema may take', async () => {
    const schema = z.object({ amount: z.number() }).optional()
    const flow = seq(
      waitFor('ok', { schema }),
      task('said', (given: unknown) => given === undefined),
    )
    const graflow = await open([flow])
    const run = await graflow.submit(flow)
    await untilState(run, 'waiting')
    const other = await (await another()).attach(run.id)
    expect((await failureOf(other.signal('ok', 'all'))).code).toBe('INVALID_INPUT')
    expect(await other.signal('ok')).toBe(true)
    expect(await resultOf(run)).toBe(true)
  })

  it('T4: past its time gives the value of onTimeout, or fails with TIMEOUT that names the signal', async () => {
    const graflow = await open([echo])
    expect(await graflow.run(seq(waitFor('ok', { timeoutMs: 50, onTimeout: { ok: false } }), echo), undefined)).toEqual(
      { ok: false },
    )
    const error = await failureOf(graflow.run(seq(waitFor('ok', { timeoutMs: 50 }), echo), undefined))
    expect(error).toMatchObject({ code: 'TIMEOUT', details: { signal: 'ok', path: '0', timeoutMs: 50 } })
    expect(error.message).toMatch(/^the signal "ok" \(awaited at 0\) did not come within its timeoutMs of 50: /)
  })

  describe('T5: five people are asked', () => {
    const people = ['Ada', 'Bob', 'Cleo', 'Dan', 'Eve']
    const ask = seq(
      task('mail', (person: string) => person),
      waitFor('vote'),
    )

    it('and all must answer, each by the number of its item', async () => {
      const graflow = await open([ask])
      const run = await graflow.start(each(ask), people)
      await untilState(run, 'waiting')
      const waits = await graflow.waits.of(run.id)
      expect(waits.map(({ path, details }) => [path, details.signal, details.index])).toEqual(
        people.map((_, index) => [`0/${index}/1`, 'vote', index]),
      )
      expect((await failureOf(run.signal('vote', 'no index'))).code).toBe('INVALID_OPTION')
      for (const index of [3, 0, 4, 1, 2]) expect(await run.signal('vote', `vote ${index}`, { index })).toBe(true)
      expect(await run.signal('vote', 'again', { index: 3 })).toBe(false)
      expect(await resultOf(run)).toEqual(people.map((_, index) => `vote ${index}`))
    })

    it('and three must answer: those that do not in time fail', async () => {
      const some = each(
        seq(
          task('mail', (person: string) => person),
          waitFor('vote', { timeoutMs: 1_500 }),
        ),
      ).atLeast(3)
      const graflow = await open([some])
      const run = await graflow.start(some, people)
      for (const index of [4, 1, 2]) expect(await run.signal('vote', index, { index })).toBe(true)
      const outcomes = await resultOf(run)
      expect(outcomes.map(({ status }) => status)).toEqual(['failed', 'succeeded', 'succeeded', 'failed', 'succeeded'])
      expect(outcomes[0]).toMatchObject({ error: { code: 'TIMEOUT', details: { signal: 'vote', path: '0/0/1' } } })
    })

    it('and the first answer decides', async () => {
      const graflow = await open([ask])
      const run = await graflow.start(each(ask).first(), people)
      await untilState(run, 'waiting')
      expect(await run.signal('vote', 'mine', { index: 2 })).toBe(true)
      expect(await resultOf(run)).toBe('mine')
      expect(await run.signal('vote', 'late', { index: 1 })).toBe(false)
    })
  })

  it('names the workflow of its run, where it has one', async () => {
    const graflow = await open([echo])
    const asks = workflow('asks', seq(waitFor('ok'), echo))
    const [named, plain] = [
      await graflow.start(asks, undefined),
      await graflow.start(seq(waitFor('ok'), echo), undefined),
    ]
    for (const run of [named, plain]) await untilState(run, 'waiting')
    expect(await graflow.waits.of(named.id)).toMatchObject([{ runId: named.id, workflow: 'asks', why: 'signal' }])
    expect((await graflow.waits.of(plain.id))[0]).not.toHaveProperty('workflow')
    for (const run of [named, plain]) await run.cancel()
  })

  it('T6: is cancelled at once', async () => {
    const graflow = await open([echo])
    const run = await graflow.start(seq(waitFor('ok'), echo), undefined)
    await untilState(run, 'waiting')
    expect(await run.cancel('no more')).toBe(true)
    expect(await failureOf(resultOf(run))).toMatchObject({ code: 'CANCELLED', details: { reason: 'no more' } })
    expect(await graflow.waits.of(run.id)).toEqual([])
  })

  it('T6: of a paused run takes its signal, and the run goes on after resume', async () => {
    const flow = seq(a, waitFor('ok'), echo)
    const graflow = await open([flow])
    const run = await graflow.submit(flow, 1)
    await untilState(run, 'waiting')
    expect(await run.pause()).toBe(true)
    expect(await run.signal('ok', 5)).toBe(true)
    expect((await run.status()).state).toBe('paused')
    expect(await run.resume()).toBe(true)
    expect(await resultOf(run)).toBe(5)
  })

  it('T6: ends with the timeout of its run, of the workflow around it, and of its group', async () => {
    const graflow = await open([echo])
    const codeOf = async (run: Promise<unknown>) => (await failureOf(run)).code
    expect(await codeOf(graflow.run(seq(waitFor('ok'), echo), undefined, { timeoutMs: 150 }))).toBe('RUN_TIMEOUT')
    const inner = workflow('inner', seq(waitFor('ok'), echo), { timeoutMs: 150 })
    expect(await failureOf(graflow.run(seq(inner, echo), undefined))).toMatchObject({
      code: 'TIMEOUT',
      details: { workflow: 'inner', timeoutMs: 150 },
    })
    const group = par(waitFor('ok'), echo).configure({ timeoutMs: 150 })
    expect(await codeOf(graflow.run(seq(echo, group), undefined))).toBe('GROUP_TIMEOUT')
  })

  it('T2: leaves its siblings alone: what they have finished is kept', async () => {
    let starts = 0
    const slow = task('slow', () => {
      starts += 1
      return 'done'
    })
    const flow = seq(par(waitFor('ok'), slow), echo)
    const graflow = await open([flow])
    const run = await graflow.start(flow, undefined)
    await untilState(run, 'waiting')
    expect(starts).toBe(1)
    expect(await run.signal('ok', 'yes')).toBe(true)
    expect(await resultOf(run)).toEqual(['yes', 'done'])
    expect(starts).toBe(1)
  })

  it('may stand in a choice, a loop and a branch’s chain, and be waited for again', async () => {
    const more = loop(
      seq(
        waitFor('word'),
        task('stop', (word: unknown) => (word === 'stop' ? done('stopped') : again(undefined))),
      ),
      { maxCycles: 5 },
    )
    const graflow = await open([more])
    const run = await graflow.start(more, undefined)
    expect(await run.signal('word', 'go')).toBe(true)
    await until(
      async () => (await graflow.waits.of(run.id)).some(({ path }) => path.startsWith('0/2/')),
      'the second pass waits',
    )
    expect(await run.signal('word', 'stop')).toBe(true)
    expect(await resultOf(run)).toBe('stopped')
  })
})

describeOnBothStores('a wait of a handler', (open) => {
  it('T7: holds no slot, and its time does not count against the deadline of the task', async () => {
    const order: string[] = []
    const sleeps = task('sleeps', { timeoutMs: 600 }, async (_: unknown, ctx) => {
      await ctx.sleep(900)
      order.push('slept')
      return ctx.waitFor('ok', { schema: verdict })
    })
    const quick = task('quick', () => {
      order.push('quick')
      return 2
    })
    const graflow = await open([sleeps, quick], { maxConcurrentTasks: 1 })
    const run = await graflow.start(par(sleeps, quick), undefined)
    await until(async () => (await graflow.waits.of(run.id)).some(({ why }) => why === 'signal'), 'it waits')
    expect(await graflow.waits.of(run.id)).toMatchObject([
      { path: '0/0/~2', task: 'sleeps', why: 'signal', details: { signal: 'ok' } },
    ])
    expect(order).toEqual(['quick', 'slept'])
    expect((await failureOf(run.signal('other', () => 1))).code).toBe('NOT_SERIALISABLE')
    expect(await run.signal('ok', { ok: true })).toBe(true)
    expect(await resultOf(run)).toEqual([true, 2])
  })

  it('T4: a retry waits anew where the time was over: in a step, a branch, a handler, a workflow with a timeout', async () => {
    const timeoutMs = 1_500 // the signal comes in this time after the retry
    const asks = task('asks-once', (_: unknown, ctx) => ctx.waitFor('ok', { timeoutMs }))
    const flows = [
      seq(waitFor('ok', { timeoutMs }), echo),
      each(seq(waitFor('ok', { timeoutMs }), echo)),
      seq(echo, asks),
      seq(echo, workflow('in-time', seq(echo, waitFor('ok')), { timeoutMs })),
    ] as const
    const graflow = await open([...flows])
    const runs = await Promise.all(flows.map((flow) => graflow.start(flow as typeof asks, [1])))
    const codes = await Promise.all(runs.map(async (run) => (await failureOf(run.result())).code))
    expect(codes).toEqual(['TIMEOUT', 'GROUP_FAILED', 'TASK_FAILED', 'TIMEOUT'])
    const results = await Promise.all(
      runs.map(async (run, i) => {
        expect(await graflow.runs.retry(run.id)).toBe(true)
        expect(await run.signal('ok', 'yes', i === 1 ? { index: 0 } : {})).toBe(true)
        return resultOf(run)
      }),
    )
    expect(results).toEqual(['yes', ['yes'], 'yes', 'yes'])
    // the time that was over meanwhile begins anew, too, where a place inside is named
    const inTime = runs[3] as (typeof runs)[number]
    await resultOf(await graflow.start(waitFor('nobody', { timeoutMs, onTimeout: 0 }), undefined))
    expect(await graflow.runs.retry(inTime.id, { from: '1/w/1' })).toBe(true)
    expect(await inTime.signal('ok', 'again')).toBe(true)
    expect(await resultOf(inTime)).toBe('again')
  })

  it('T3, O1: a signal for a wait that was answered before the retry is late; for one that is waited for anew it counts', async () => {
    const state = { isBroken: true }
    const breaks = task('breaks-after', (value: unknown) => {
      if (state.isBroken) throw new Error('broken')
      return value
    })
    const alone = seq(waitFor('ok'), breaks)
    const many = each(seq(waitFor('ok'), breaks))
      .settled()
      .to(breaks)
    const graflow = await open([alone, many])
    const run = await graflow.start(alone, undefined)
    const people = await graflow.start(many, [1, 2])
    expect(await run.signal('ok', 1)).toBe(true)
    for (const index of [0, 1]) expect(await people.signal('ok', index, { index })).toBe(true)
    expect((await failureOf(run.result())).code).toBe('TASK_FAILED')
    expect((await failureOf(people.result())).code).toBe('TASK_FAILED')
    for (const { id } of [run, people]) expect(await graflow.runs.retry(id)).toBe(true)
    expect(await run.signal('ok', 2)).toBe(false)
    expect(await people.signal('ok', 2, { index: 1 })).toBe(false)
    expect((await failureOf(run.result())).code).toBe('TASK_FAILED')
    state.isBroken = false
    expect(await graflow.runs.retry(run.id, { from: '0' })).toBe(true)
    expect(await run.signal('ok', 3)).toBe(true)
    expect(await resultOf(run)).toBe(3)
  })

  it('O1: behind a schema is retried by the process that started the run, where no worker knows its code', async () => {
    let isBroken = true
    const breaks = task('breaks-once', (n: number) => {
      if (isBroken) throw new Error('broken')
      return n
    })
    const graflow = await open([echo])
    const run = await graflow.start(seq(breaks, waitFor('ok', { schema: verdict })), 1)
    await failureOf(run.result())
    isBroken = false
    expect(await graflow.runs.retry(run.id)).toBe(true)
    expect(await run.signal('ok', { ok: true })).toBe(true)
    expect(await resultOf(run)).toBe(true)
  })

  it('T3: keeps a signal that came before its wait also when the run fails meanwhile, and is retried', async () => {
    let isBroken = true
    const breaks = task('breaks', () => {
      if (isBroken) throw new Error('broken')
    })
    const flow = seq(later(breaks, 500), waitFor('ok'))
    const graflow = await open([flow])
    const run = await graflow.start(flow, undefined)
    expect(await run.signal('ok', 'early')).toBe(true)
    await failureOf(run.result())
    isBroken = false
    expect(await graflow.runs.retry(run.id)).toBe(true)
    expect(await run.signal('ok', 'second')).toBe(false)
    expect(await resultOf(run)).toBe('early')
  })

  it('says what a person is asked, fails with TIMEOUT, and is asked anew by the next attempt', async () => {
    const asks = task('asks', { retry: { attempts: 2 } }, (_: unknown, ctx) =>
      ctx.waitFor('answer', { timeoutMs: ctx.attempt === 1 ? 50 : 20_000, prompt: { title: 'Well?' } }),
    )
    const graflow: Graflow = await open([asks])
    const run = await graflow.start(each(asks), [1])
    await until(async () => (await graflow.waits.of(run.id))[0]?.path === '0/0/~1.1', 'it is asked again')
    expect(await graflow.waits.of(run.id)).toMatchObject([{ prompt: { title: 'Well?' }, details: { index: 0 } }])
    expect(await run.signal('answer', 'fine', { index: 0 })).toBe(true)
    expect(await resultOf(run)).toEqual(['fine'])
  })
})
