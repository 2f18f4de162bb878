/** What operators do by hand: dead letters, and commands on runs by their id. */
import type { Graflow } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { describeOnBackends, openGateOf } from '../support/backends.js'
import { finished, nextMark } from '../support/runs.js'
import { until } from '../support/waits.js'
import {
  beside,
  failsBeside,
  fragile,
  hangingChain,
  hangingStep,
  lateBeside,
  nested,
  refused,
  routedStep,
  settled,
  sums,
  total,
} from './by-hand.tasks.js'

/** The dead letter of a run that fails in branch 3 of its six. */
async function letterOf(graflow: Graflow) {
  const run = await graflow.start(sums, 6)
  await failureOf(run.result())
  const { items } = await graflow.deadLetters.list({ task: 'fragile' })
  const letter = items.find(({ runId }) => runId === run.id)
  if (letter === undefined) throw new Error('expected a dead letter')
  return letter
}

describeOnBackends('dead letters', (open) => {
  it('O7: are listed, got, replayed as a run of that node with that input, deleted', async () => {
    const graflow = await open()
    const letter = await letterOf(graflow)
    expect(letter).toMatchObject({ path: '1/3', task: 'fragile', status: 'failed', errors: 0, losses: 0 })
    expect(letter.error).toMatchObject({ code: 'TASK_FAILED', message: expect.stringContaining('no 3') })
    expect(await graflow.deadLetters.get(letter.id)).toEqual({
      ...letter,
      input: { n: 3, fails: true },
      hasInput: true,
    })
    const again = await graflow.deadLetters.replay(letter.id)
    expect(again.id).not.toBe(letter.runId)
    expect((await failureOf(again.result())).message).toContain('no 3')
    openGateOf(again, 'mended')
    const once = async () =>
      (await graflow.deadLetters.replay(letter.id, { idempotencyKey: `replay of ${letter.id}` })).id
    const first = await once()
    expect(first).not.toBe(again.id)
    expect(await once()).toBe(first)
    expect(await graflow.deadLetters.delete(letter.id)).toBe(true)
    expect(await graflow.deadLetters.delete(letter.id)).toBe(false)
    expect(await graflow.deadLetters.get(letter.id)).toBeUndefined()
    expect(await failureOf(graflow.deadLetters.replay(letter.id))).toMatchObject({ code: 'NOT_KEPT' })
  })

  it('O7: of a task give a run that may succeed, and are purged by time, and all', async () => {
    const graflow = await open()
    const early = await letterOf(graflow)
    const late = await letterOf(graflow)
    const { items, cursor } = await graflow.deadLetters.list({ limit: 1 })
    expect(items.map(({ id }) => id)).toEqual([late.id])
    const next = await graflow.deadLetters.list({ limit: 1, ...(cursor !== undefined && { cursor }) })
    expect(next.items.map(({ id }) => id)).toEqual([early.id])
    expect(await graflow.deadLetters.list({ task: 'nobody' })).toEqual({ items: [] })
    expect(await graflow.deadLetters.purge({ before: new Date(0) })).toBe(0)
    expect(await graflow.deadLetters.purge()).toBeGreaterThanOrEqual(2)
    expect(await graflow.deadLetters.list()).toEqual({ items: [] })
  })
})

describeOnBackends('runs by their id', (open) => {
  it('are deleted with their idempotency key, also while they run', async () => {
    const graflow = await open()
    const options = { idempotencyKey: 'once' }
    const run = await finished(graflow, fragile, { n: 1 }, options)
    expect((await graflow.start(fragile, { n: 1 }, options)).id).toBe(run.id)
    expect(await graflow.runs.delete(run.id)).toBe(true)
    expect(await graflow.runs.delete(run.id)).toBe(false)
    expect(await failureOf(graflow.attach(run.id))).toMatchObject({ code: 'RUN_NOT_FOUND' })
    const second = await graflow.start(fragile, { n: 1 }, options)
    expect(second.id).not.toBe(run.id)
    expect(await graflow.runs.delete(second.id)).toBe(true)
    expect(await failureOf(graflow.attach(second.id))).toMatchObject({ code: 'RUN_NOT_FOUND' })
  })
})

const six = [0, 1, 2, 3, 4, 5].map((n) => `fragile ${n}`)

describeOnBackends('a run that is retried', (open) => {
  it.each(['start', 'submit'] as const)(
    'O1: by %s that failed in branch 3 of 6 goes on under its id; only that branch and what follows run',
    async (how) => {
      const graflow = await open()
      const run = await (how === 'start' ? graflow.start(sums, 6) : graflow.submit(sums, 6))
      expect(await failureOf(run.result())).toMatchObject({ code: 'GROUP_FAILED' })
      openGateOf(run, 'mended')
      expect(await graflow.runs.retry(run.id)).toBe(true)
      const again = await graflow.attach(run.id, sums)
      expect(await again.result()).toEqual({ result: 30, log: ['fragile 3', ...six, 'list', 'total'].sort() })
      expect(await again.result('1')).toEqual([0, 2, 4, 6, 8, 10])
      expect(await run.status()).toMatchObject({ state: 'completed', retries: 1, done: 9, total: 9 })
      expect(await graflow.runs.retry(run.id)).toBe(false)
    },
  )

  it('O1: keeps groups inside branches that failed, and joins that passed', async () => {
    const graflow = await open()
    const run = await graflow.start(nested, 3)
    await failureOf(run.result())
    openGateOf(run, 'mended')
    expect(await graflow.runs.retry(run.id)).toBe(true)
    expect(await (await graflow.attach(run.id, nested)).result()).toEqual({
      result: { settled: 2, sums: [2, 6] },
      log: ['fragile 1', 'fragile 3', 'fragile 3', 'how-many', 'total', 'total'],
    })
  })

  it('O2: from a step on does that step and all behind it again, also where it was completed', async () => {
    const graflow = await open()
    const run = await finished(graflow, sums, 2)
    expect(await graflow.runs.retry(run.id, { from: '2' })).toBe(true)
    const log = ['fragile 0', 'fragile 1', 'list', 'total', 'total']
    expect(await (await graflow.attach(run.id, sums)).result()).toEqual({ result: 2, log })
    expect(await graflow.runs.retry(run.id, { from: '1' })).toBe(true)
    expect(await (await graflow.attach(run.id, sums)).result()).toEqual({
      result: 2,
      log: ['fragile 0', 'fragile 1', 'total', ...log].sort(),
    })
    expect(await run.status()).toMatchObject({ state: 'completed', retries: 2, done: 5, total: 5 })
  })

  it('O2: from a branch on does that branch and all behind its group again', async () => {
    const graflow = await open()
    const run = await finished(graflow, sums, 3)
    expect(await graflow.runs.retry(run.id, { from: '1/2' })).toBe(true)
    expect(await (await graflow.attach(run.id, sums)).result()).toEqual({
      result: 6,
      log: ['fragile 0', 'fragile 1', 'fragile 2', 'fragile 2', 'list', 'total', 'total'],
    })
  })

  it('is refused where there is nothing to retry, and where the flow has no such place', async () => {
    const graflow = await open()
    const run = await finished(graflow, total, [1])
    expect(await graflow.runs.retry(run.id)).toBe(false)
    expect(await failureOf(graflow.runs.retry(run.id, { from: '1' }))).toMatchObject({ code: 'INVALID_OPTION' })
    expect(await failureOf(graflow.runs.retry('none'))).toMatchObject({ code: 'RUN_NOT_FOUND' })
  })

  it('is what its idempotency key gives', async () => {
    const graflow = await open()
    const options = { idempotencyKey: 'twice' }
    const run = await graflow.start(sums, 4, options)
    await failureOf(run.result())
    await failureOf((await graflow.start(sums, 4, options)).result())
    openGateOf(run, 'mended')
    await graflow.runs.retry(run.id)
    const second = await graflow.start(sums, 4, options)
    expect(second.id).toBe(run.id)
    expect(await second.result()).toMatchObject({ result: 12 })
  })
})

describeOnBackends('what is decided by hand', (open) => {
  it.each<[string, Parameters<Graflow['runs']['settle']>[2], unknown]>([
    ['succeeds', { succeed: 'hand' }, { status: 'succeeded', value: 'hand' }],
    ['fails', { fail: 'no' }, { status: 'failed', error: { code: 'TASK_FAILED', details: { byHand: true } } }],
    ['is skipped', { skip: true }, { status: 'skipped', error: { code: 'SKIPPED', details: { byHand: true } } }],
  ])('O3: a branch that hangs %s', async (_, decision, outcome) => {
    const graflow = await open()
    const hanging = nextMark(graflow, 'hanging')
    const run = await graflow.start(settled, 1)
    await hanging
    expect(await graflow.runs.settle(run.id, '0/slow', decision)).toBe(true)
    expect(await run.result()).toMatchObject({ quick: { status: 'succeeded', value: 1 }, slow: outcome })
    openGateOf(run, 'go')
    expect(await graflow.runs.settle(run.id, '0/slow', { succeed: 1 })).toBe(false)
    expect(await run.status()).toMatchObject({ byHand: [{ path: '0/slow', at: expect.any(Date) }] })
  })

  it('O3: a branch that failed; its run goes on', async () => {
    const graflow = await open()
    const run = await graflow.start(sums, 6)
    await failureOf(run.result())
    expect(await graflow.runs.settle(run.id, '1/3', { succeed: 100 })).toBe(true)
    const log = ['fragile 0', 'fragile 1', 'fragile 2', 'fragile 3', 'fragile 4', 'fragile 5', 'list', 'total']
    expect(await run.result()).toEqual({ result: 124, log })
    expect(await run.status()).toMatchObject({ byHand: [{ path: '1/3', as: 'succeeded' }], retries: 1 })
  })

  it('O3: nothing that has succeeded in a run that failed, which stays as it is', async () => {
    const graflow = await open()
    const run = await graflow.start(sums, 6)
    await failureOf(run.result())
    for (const path of ['0', '1/0']) expect(await graflow.runs.settle(run.id, path, { succeed: 1_000 })).toBe(false)
    const refusal = await graflow.start(refused, 1)
    await failureOf(refusal.result())
    expect(await graflow.runs.settle(refusal.id, '0', { fail: 'no' })).toBe(false)
    for (const { id } of [run, refusal])
      expect(await (await graflow.attach(id)).status()).toMatchObject({ state: 'failed', retries: 0, byHand: [] })
    expect(await graflow.runs.settle(run.id, '1/3', { succeed: 100 })).toBe(true)
    expect(await run.result()).toMatchObject({ result: 124 })
    expect(await graflow.runs.settle(run.id, '1/3', { succeed: 1 })).toBe(false)
  })

  it('O3: a branch and a step that failed, while the others of their group are under way', async () => {
    const graflow = await open()
    const hanging = nextMark(graflow, 'hanging')
    const run = await graflow.start(failsBeside, 1)
    await hanging
    const hasFailed = async (count: number): Promise<boolean> => (await run.status()).groups[0]?.failed === count
    await until(() => hasFailed(2), 'both have failed')
    expect(await graflow.runs.settle(run.id, '0/refused', { succeed: 'hand' })).toBe(true)
    expect(await graflow.runs.settle(run.id, '0/refused', { succeed: 'again' })).toBe(false)
    expect(await graflow.runs.settle(run.id, '0/chain/1', { succeed: 'step' })).toBe(true)
    await until(() => hasFailed(0), 'both have succeeded')
    openGateOf(run, 'go')
    expect(await run.result()).toEqual({
      refused: { status: 'succeeded', value: 'hand' },
      chain: { status: 'succeeded', value: 'step' },
      slow: { status: 'succeeded', value: 'worker' },
    })
    expect((await run.status()).byHand.map(({ path }) => path)).toEqual(['0/refused', '0/chain/1'])
  })

  it('O3: a step of a branch whose workflow was out of time: it has its time anew', async () => {
    const graflow = await open()
    const run = await graflow.start(lateBeside, 1)
    await until(async () => (await run.status()).groups[0]?.failed === 1, 'it is out of time')
    expect(await graflow.runs.settle(run.id, '0/late/w/1', { succeed: 'hand' })).toBe(true)
    await until(async () => (await run.status()).groups[0]?.failed === 0, 'it goes on')
    openGateOf(run, 'go')
    expect(await run.result()).toEqual({
      late: { status: 'succeeded', value: 'hand' },
      slow: { status: 'succeeded', value: 'worker' },
    })
  })

  it.each<[string, Parameters<Graflow['runs']['settle']>[2], unknown]>([
    ['succeeds', { succeed: 'hand' }, 'hand'],
    ['is skipped', { skip: true }, 1],
  ])('O3: a step that hangs %s', async (_, decision, expected) => {
    const graflow = await open()
    const hanging = nextMark(graflow, 'hanging')
    const run = await graflow.start(hangingStep, 1)
    await hanging
    expect(await graflow.runs.settle(run.id, '1', decision)).toBe(true)
    expect(await run.result()).toBe(expected)
    expect(await run.result('1')).toBe(expected)
    openGateOf(run, 'go')
  })

  it.each<[string, Parameters<Graflow['runs']['settle']>[2], unknown]>([
    ['succeeds', { succeed: 'hand' }, 'hand'],
    ['is skipped', { skip: true }, 1],
  ])('O3: a step that is dispatched, and hangs, %s', async (_, decision, expected) => {
    const graflow = await open()
    const hanging = nextMark(graflow, 'hanging')
    const run = await graflow.start(routedStep, 1)
    await hanging
    expect(await graflow.runs.settle(run.id, '1', decision)).toBe(true)
    expect(await run.result()).toBe(expected)
    expect(await run.result('1')).toBe(expected)
    openGateOf(run, 'go')
  })

  it('O3: a step that failed, once with a failure and then with a value', async () => {
    const graflow = await open()
    const run = await graflow.start(refused, 1)
    await failureOf(run.result())
    expect(await graflow.runs.settle(run.id, '1', { fail: new Error('not now') })).toBe(true)
    expect(await failureOf(run.result())).toMatchObject({
      code: 'TASK_FAILED',
      message: expect.stringContaining('not now'),
    })
    expect(await graflow.runs.settle(run.id, '1', { succeed: 7 })).toBe(true)
    expect(await run.result()).toEqual({ result: 7, log: [] })
    expect((await run.status()).byHand.map(({ as }) => as)).toEqual(['failed', 'succeeded'])
  })

  it('O3: a step inside a branch', async () => {
    const graflow = await open()
    const hanging = nextMark(graflow, 'hanging')
    const run = await graflow.start(hangingChain, [1])
    await hanging
    expect(await graflow.runs.settle(run.id, '0/0/0', { succeed: 'hand' })).toBe(true)
    expect(await run.result()).toEqual(['hand'])
    openGateOf(run, 'go')
  })

  it('O3: a branch that its worker settles, too: one of both counts', async () => {
    const graflow = await open()
    for (let i = 0; i < 5; i += 1) {
      const hanging = nextMark(graflow, 'hanging')
      const run = await graflow.start(beside, i)
      await hanging
      openGateOf(run, 'go')
      const isByHand = await graflow.runs.settle(run.id, '0/slow', { succeed: 'hand' })
      expect(await run.result()).toEqual({ quick: i, slow: isByHand ? 'hand' : 'worker' })
      expect((await run.status()).byHand).toHaveLength(isByHand ? 1 : 0)
    }
  })

  it('is refused for what is no branch and no task, and for no decision', async () => {
    const graflow = await open()
    const run = await graflow.start(sums, 6)
    await failureOf(run.result())
    for (const path of ['1', '9', '1/*', '', '__proto__'])
      expect([path, (await failureOf(graflow.runs.settle(run.id, path, { skip: true }))).code]).toEqual([
        path,
        'INVALID_OPTION',
      ])
    expect((await failureOf(graflow.runs.settle(run.id, '1/3', {} as never))).code).toBe('INVALID_OPTION')
    expect(await failureOf(graflow.runs.settle('none', '1', { skip: true }))).toMatchObject({ code: 'RUN_NOT_FOUND' })
  })
})
