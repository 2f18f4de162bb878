import { choose, each, par, seq, workflow } from 'graflow'
import {
  a,
  againHeld,
  b,
  cancels,
  cancelsAndFinishes,
  chosen,
  coordinator,
  cleanup,
  decide,
  deeper,
  endless,
  endlessLoop,
  extra,
  fails,
  final,
  finishes,
  finishHeld,
  finishesAndCancels,
  forksClosure,
  forksFailure,
  forksHeld,
  forksTwice,
  fourPasses,
  gotoAndAgain,
  gotoHeld,
  halfFork,
  heldEnd,
  high,
  jumpingAgent,
  leafX,
  low,
  nextAndAgain,
  nextClosure,
  nextHeld,
  nextParsed,
  nextReturned,
  nextThenValue,
  nextUnparsed,
  nextWithoutInput,
  seen,
  spoils,
  succ,
  talks,
  toFinal,
  toGroup,
  toNew,
  waitsForEver,
} from './control.tasks.js'
import { describeOnBackends } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { failureOfRun, finished, logOf, nextMark } from '../support/runs.js'

describeOnBackends('dynamic control', (open, onlyEmbedded, name) => {
  it('D1: next runs a node before the steps that follow, which get what the handler returned', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    expect(await graflow.run(seq(nextThenValue, succ, final), '> ')).toBe('> start succ final ')
    expect(log).toEqual(['start', 'extra', 'succ', 'final'])
  })

  it('D1: a handler that returns the Control gives what that node gave; without an input the node gets what it returned', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    expect(await graflow.run(seq(nextReturned, succ, final), '> ')).toBe('> start extra succ final ')
    expect(log).toEqual(['start', 'extra', 'succ', 'final'])
    const run = await finished(graflow, seq(nextWithoutInput, succ), '> ')
    expect(await run.result()).toBe('> start succ ')
  })

  it('D2: three nodes by next all run, one after the other, before what follows', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    expect(await graflow.run(seq(coordinator, cleanup), '> ')).toBe('> cleanup ')
    expect(log.slice(0, 2)).toEqual(['coordinator', 'a'])
    expect(log.slice(2, 4).sort()).toEqual(['b', 'c'])
    expect(log.slice(4)).toEqual(['a', 'extra', 'cleanup'])
  })

  it('D3: goto runs a node of the flow instead of the steps that follow, and gives the result', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    expect(await graflow.run(seq(toFinal, succ, final, cleanup), '> ')).toBe('> jumped final ')
    expect(log).toEqual(['start', 'final'])
  })

  it('D3: goto runs a new flow instead of the steps that follow, also one with a group', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    expect(await graflow.run(seq(toNew, succ, final), '> ')).toBe('> jumped extra cleanup ')
    expect(log).toEqual(['start', 'extra', 'cleanup'])
    expect(await graflow.run(seq(toGroup, final), '> ')).toEqual(['> b ', '> c '])
  })

  it('D3: goto in a branch leaves out the rest of that branch only', async () => {
    const graflow = await open()
    expect(await graflow.run(seq(par(seq(toNew, succ), succ), each(final)), '> ')).toEqual([
      '> jumped extra cleanup final ',
      '> succ final ',
    ])
  })

  it('D4: again starts the task once more with what it was given, and counts the cycles from 1', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    expect(await graflow.run(seq(fourPasses, succ), 10)).toBe('ended with 40succ ')
    expect(log).toEqual(['cycle 1: 10', 'cycle 2: 20', 'cycle 3: 30', 'cycle 4: 40', 'succ'])
    expect(await graflow.run(par(fourPasses, fourPasses), 30)).toEqual(['ended with 40', 'ended with 40'])
  })

  it.each([1, 2, 5])(
    'D5: again without an end goes round exactly maxCycles times, %d, then CYCLE_LIMIT',
    async (limit) => {
      const graflow = await open()
      const log = logOf(graflow)
      const error = await failureOfRun(graflow, seq(endless(limit), leafX as never), 0)
      expect(error.code).toBe('CYCLE_LIMIT')
      expect(error.details).toMatchObject({ task: 'endless', count: limit, limit })
      expect(error.message).toContain('endless')
      expect(log).toEqual(Array.from({ length: limit }, (_, i) => `pass ${i + 1}`))
      const inBranch = await failureOfRun(graflow, par(endless(limit), leafX), 0)
      expect(inBranch.cause).toMatchObject({ code: 'CYCLE_LIMIT', details: { task: 'endless', count: limit, limit } })
    },
  )

  it.each([1, 2, 5])(
    'D5: a loop without an end goes round exactly maxCycles times, %d, then CYCLE_LIMIT',
    async (limit) => {
      const graflow = await open()
      const log = logOf(graflow)
      const error = await failureOfRun(graflow, endlessLoop(limit), '')
      expect(error.code).toBe('CYCLE_LIMIT')
      expect(error.details).toMatchObject({ task: 'turn-round', count: limit, limit })
      expect(log).toEqual(Array.from({ length: limit }, () => 'body'))
    },
  )

  it('D6: an agent and its tool go round until the agent finishes the run', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    const run = await graflow.start(seq(talks, succ as never), { question: '?', answers: [] })
    expect(await run.result()).toEqual({ question: '?', answers: ['answer 1', 'answer 2'], passes: 3 })
    expect(log).toEqual(['agent', 'tool', 'agent', 'tool', 'agent'])
    expect((await run.status()).state).toBe('completed')
  })

  it('D6: two tasks that go to each other go round until one finishes the run', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    expect(await graflow.run(seq(jumpingAgent, succ as never), [])).toEqual(['more', 'more'])
    expect(log).toEqual(['agent', 'tool', 'agent', 'tool', 'agent'])
  })

  it('D7: cancel ends the run as cancelled, keeps the reason, and runs nothing after it', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    const run = await graflow.start(seq(cancels, b as never), undefined)
    const error = await failureOf(run.result())
    expect(error.code).toBe('CANCELLED')
    expect(error.details).toMatchObject({ runId: run.id, reason: 'no budget left' })
    expect(error.message).toContain('no budget left')
    expect(log).toEqual(['cancels'])
    expect(await run.status()).toMatchObject({ state: 'cancelled', error: { code: 'CANCELLED' } })
  })

  it('D7: cancel in a branch stops the others too', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    const run = await graflow.start(seq(par(waitsForEver, cancels), b as never), undefined)
    const error = await failureOf(run.result())
    expect(error.code).toBe('CANCELLED')
    expect(error.details).toMatchObject({ reason: 'no budget left' })
    // with two workers one may cancel before the other starts
    if (name === 'embedded') expect(log).toEqual(['waiting', 'cancels', 'stopped by CANCELLED'])
    else expect(log).toContain('cancels')
    const groups = (await run.status()).groups
    expect(groups).toMatchObject([{ state: 'withdrawn', running: 0, withdrawn: 2 }])
  })

  it('D8: cancel wins over finish, whichever was first', async () => {
    const graflow = await open()
    for (const node of [cancelsAndFinishes, finishesAndCancels]) {
      for (const flow of [node, seq(node, leafX as never), par(node, leafX as never)]) {
        const error = await failureOf(graflow.run(flow, undefined))
        expect(error).toMatchObject({ code: 'CANCELLED', details: { reason: 'cancel wins' } })
      }
    }
  })

  it('finish in a branch ends the run, completed, with what it was given', async () => {
    const graflow = await open()
    const run = await graflow.start(seq(par(waitsForEver, seq(a, finishes)), b as never), '> ')
    expect(await run.result()).toEqual({ early: '> a ' })
    expect((await run.status()).state).toBe('completed')
  })

  it('D9: goto out of a group fails the group with GOTO_ACROSS_BARRIER, and nothing hangs', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    for (const flow of [
      seq(par(a, toFinal), final as never),
      seq(each(toFinal), final as never),
      seq(par(a, seq(a, toFinal)), final as never),
    ]) {
      const input = (flow.toString().includes('*') ? ['> '] : '> ') as never
      const error = await failureOf(graflow.run(flow, input))
      expect(error.code).toBe('GROUP_FAILED')
      expect(error.cause).toMatchObject({ code: 'GOTO_ACROSS_BARRIER', details: { target: 'final' } })
    }
    expect(log).not.toContain('final')
  })

  it('D9: goto to a node in the same branch is allowed', async () => {
    const graflow = await open()
    expect(await graflow.run(par(seq(toFinal, succ, final), a), '> ')).toEqual(['> jumped final ', '> a '])
  })

  it('D10: forks and joins five levels deep through one worker with one slot', async () => {
    const graflow = await open({ maxConcurrentTasks: 1 })
    const log = logOf(graflow)
    expect(await graflow.run(par(deeper, leafX), 5)).toEqual([32, 6])
    expect(log.filter((text) => text === 'depth 0')).toHaveLength(32)
    expect(await graflow.run(seq(deeper, leafX), 5)).toBe(33)
  })

  it('ctx.run runs tasks, sequences and groups, one after the other and at once', async () => {
    const graflow = await open()
    const expected = { x: 6, y: 7, more: [7, 8], together: [11, 13] }
    expect(await graflow.run(forksTwice, 5)).toEqual(expected)
    expect(await graflow.run(par(forksTwice, forksTwice), 5)).toEqual([expected, expected])
    expect(await graflow.run(workflow('outer', seq(forksTwice)), 5)).toEqual(expected)
  })

  it('ctx.run rejects with what the flow failed with, and the handler may go on', async () => {
    const graflow = await open()
    const expected = [
      ['TASK_FAILED', 'broken'],
      ['TASK_FAILED', 'broken'],
      ['GROUP_FAILED', expect.stringContaining('broken')],
    ]
    expect(await graflow.run(forksFailure, undefined)).toEqual(expected)
    expect(await graflow.run(each(forksFailure), [1])).toEqual([expected])
  })

  const inOneProcess = onlyEmbedded('a task made by a handler is known to the process of that handler only')
  inOneProcess(
    'ctx.run and ctx.next run the task they are given, also when each start makes one of the same name',
    async () => {
      const graflow = await open()
      const expected = [1, 2, 3].map((n) => [100 + n, 100 + n, 100 + 2 * n])
      expect(await graflow.run(each(forksClosure), [1, 2, 3])).toEqual(expected)
      expect(await graflow.run(each(nextClosure), [1, 2, 3])).toEqual([[102], [104], [106]])
    },
  )

  onlyEmbedded('its limits would have to be those of the worker')(
    'ctx.run withdraws a group that could not be dispatched as a whole',
    async () => {
      const graflow = await open({ limits: { itemBytes: 200 }, maxConcurrentTasks: 10 })
      const failed = nextMark(graflow, 'failed')
      const run = await graflow.start(halfFork, 300)
      await failed
      const [group] = (await run.status()).groups
      expect(group).toMatchObject({ state: 'withdrawn', width: 50_001, ready: 0, running: 0 })
      await run.cancel()
    },
  )

  it('D11: choose runs the case that the decision names, on the same input', async () => {
    const graflow = await open()
    expect(await graflow.run(chosen, 10)).toBe('high 10')
    expect(await graflow.run(chosen, 3)).toBe('low 3')
    expect(await graflow.run(each(chosen), [10, 3])).toEqual(['high 10', 'low 3'])
    expect(await graflow.run(choose(decide, { high: par(high, low), low }), 10)).toEqual(['high 10', 'low 10'])
  })

  it('D11: the case gets the input as it was given, whatever the decision did to it', async () => {
    const graflow = await open()
    expect(await graflow.run(choose(spoils, { high: seen, low: seen }), [1])).toEqual([1])
    expect(await graflow.run(each(choose(spoils, { high: seen, low: seen })), [[1]])).toEqual([[1]])
  })

  it('D11: a decision that names no case fails with NO_SUCH_CASE, the key and the cases', async () => {
    const graflow = await open()
    const error = await failureOfRun(graflow, seq(chosen, fails as never), -1)
    expect(error.code).toBe('NO_SUCH_CASE')
    expect(error.details).toMatchObject({ key: 'below', cases: ['high', 'low'] })
    expect(error.message).toMatch(/below.*high, low/s)
  })

  it('D11: keys of every object are no cases', async () => {
    const graflow = await open()
    const odd = choose(decide, { toString: high, low })
    expect((await failureOfRun(graflow, odd, 10)).code).toBe('NO_SUCH_CASE')
  })

  it('values reach what runs next as they were at the call, whatever the handler does to them afterwards', async () => {
    const graflow = await open()
    expect(await graflow.run(forksHeld, 0)).toEqual([0, 1, 2, 3])
    expect(await graflow.run(par(forksHeld), 0)).toEqual([[0, 1, 2, 3]])
    const log = logOf(graflow)
    await graflow.run(nextHeld, 0)
    await graflow.run(each(nextHeld), [0])
    await graflow.run(gotoHeld, 0)
    expect(log).toEqual(['got 1', 'got 2', 'got 1', 'got 2', 'got 1'])
    expect(await graflow.run(seq(againHeld, heldEnd), { n: 0 })).toBe(1)
    const run = await graflow.start(finishHeld, 0)
    await expect(run.result()).resolves.toEqual({ n: 1 })
  })

  it('next and again in one start: the flow of next runs, then the task starts again', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    expect(await graflow.run(nextAndAgain, 1)).toBe('end')
    expect(await graflow.run(each(nextAndAgain), [2])).toEqual(['end'])
    const first = ['pass 1', 'got 1', 'pass 2', 'got 2', 'pass 3', 'got 3']
    expect(log).toEqual([...first, 'pass 1', 'got 2', 'pass 2', 'got 3'])
  })

  it('goto and again in one start is an error', async () => {
    const error = await failureOfRun(await open(), gotoAndAgain, 1)
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { task: 'goto-and-again', path: '0' } })
  })

  it('an output schema parses what a handler returns beside next', async () => {
    const graflow = await open()
    expect(await graflow.run(nextParsed, 'text')).toBe('TEXT')
    expect((await failureOfRun(graflow, nextUnparsed, 0)).code).toBe('INVALID_OUTPUT')
  })

  it('extra work by next is not in the flow, but its results are found by task', async () => {
    const graflow = await open()
    const run = await finished(graflow, seq(nextThenValue, succ), '> ')
    expect(await run.result(extra)).toBe('for extra: extra ')
  })
})
