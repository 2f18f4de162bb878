/** Locks on channels, as handlers see them. Where another process has the lock see test/faults/locks.test.ts. */
import { each, par, seq, task, type GraflowError, type Lock, type TaskContext } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { Gate } from '../support/gate.js'
import { within } from '../support/waits.js'

/** What an attempt fails with, as plain data. */
const factsOf = (attempt: Promise<unknown>) =>
  attempt.then(
    () => ({ code: 'no error', message: '', details: {} }),
    (error: unknown) => {
      const { code, message, details } = error as Partial<GraflowError>
      return { code, message, details }
    },
  )
const codeOf = async (attempt: Promise<unknown>): Promise<unknown> => (await factsOf(attempt)).code

/** A task that takes `key` and keeps it until the gate opens; `held` gets what the lock is. */
const keeperOf = (key: string, gate: Gate, held: (lock: Lock) => void = () => undefined) =>
  task('keeper', async (_: unknown, ctx) =>
    ctx.channel.lock(key, {}, async (lock) => {
      held(lock)
      await gate.pass()
      return `kept ${key}`
    }),
  )

describeOnBothStores('locks', (open) => {
  it('C7: the second holder gets LOCK_TIMEOUT after waitMs, and other keys do not block', async () => {
    const gate = new Gate()
    const keeper = keeperOf('a', gate)
    const second = task('second', async (_: unknown, ctx) => {
      await gate.reached(1)
      const from = performance.now()
      const error = await factsOf(ctx.channel.lock('a', { waitMs: 100 }, () => 'got it'))
      const waitedMs = performance.now() - from
      const other = await ctx.channel.lock('b', { waitMs: 0 }, ({ fence }) => typeof fence)
      const again = await codeOf(ctx.channel.lock('a', { waitMs: 0 }, () => 'got it'))
      gate.open()
      return { error, waitedMs, other, again }
    })
    const graflow = await open([keeper, second])
    const [kept, { error, waitedMs, other, again }] = await graflow.run(par(keeper, second), undefined)
    expect(kept).toBe('kept a')
    expect(error.code).toBe('LOCK_TIMEOUT')
    expect(error.message).toMatch(/^the lock "a" was not free within its waitMs of 100: branch \S+#0 has it; raise /)
    expect(error.details).toEqual({ key: 'a', waitMs: 100, holder: expect.stringMatching(/#0$/) })
    expect(Math.round(waitedMs)).toBeGreaterThanOrEqual(100)
    expect(waitedMs).toBeLessThan(1_000)
    expect([other, again]).toEqual(['number', 'LOCK_TIMEOUT'])
  })

  it('let one handler in at a time, in whatever process, and each with a larger fence', async () => {
    const times = 5
    const counts = task('counts', async (_: number, { channel }) => {
      for (let i = 0; i < times; i += 1) {
        await channel.lock('a', {}, async ({ fence }) => {
          expect(await channel.add('inside', 1)).toBe(1)
          await channel.append('fences', fence)
          await channel.add('inside', -1)
        })
      }
    })
    const fences = task('fences', async (_: unknown, { channel }) => (await channel.list('fences')) as number[])
    const graflow = await open([counts])
    const listed = await graflow.run(seq(each(counts), fences), [1, 2, 3, 4, 5, 6])
    expect(listed).toHaveLength(6 * times)
    expect(listed).toEqual([...new Set(listed)].sort((x, y) => x - y))
  })

  it('are given back whatever the function does, and give what it gives', async () => {
    const tries = task('tries', async (_: unknown, ctx) => {
      const lock = <R>(fn: () => R | Promise<R>): Promise<R> => ctx.channel.lock('a', { waitMs: 0 }, fn)
      return {
        plain: await lock(() => 1),
        promised: await lock(async () => 2),
        thrown: await factsOf(
          lock(() => {
            throw new RangeError('thrown')
          }),
        ),
        rejected: await factsOf(lock(() => Promise.reject(new RangeError('rejected')))),
        nested: await codeOf(lock(() => ctx.channel.lock('a', { waitMs: 20 }, () => 3))),
        other: await lock(() => ctx.channel.lock('b', { waitMs: 0 }, () => 4)),
        last: await lock(() => 5),
      }
    })
    const graflow = await open([tries])
    expect(await graflow.run(par(tries, tries).first(), undefined)).toMatchObject({
      plain: 1,
      promised: 2,
      thrown: { message: 'thrown' },
      rejected: { message: 'rejected' },
      nested: 'LOCK_TIMEOUT',
      other: 4,
      last: 5,
    })
  })

  it('belong to one run', async () => {
    const gate = new Gate()
    const keeper = keeperOf('a', gate)
    const graflow = await open([keeper])
    const runs = [await graflow.start(keeper, undefined), await graflow.start(each(keeper), [1])]
    await within(5_000, gate.reached(2), 'both runs in their lock')
    gate.open()
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(['kept a', ['kept a']])
  })

  it('fire the signal of the lock when the run is cancelled, and are free for others then', async () => {
    const gate = new Gate()
    let held: Lock | undefined
    const keeper = keeperOf('a', gate, (lock) => {
      held = lock
    })
    const takes = task('takes', async (_: unknown, ctx) => ctx.channel.lock('a', { waitMs: 5_000 }, () => 'taken'))
    const fails = task('fails', async () => {
      await gate.reached(1)
      throw new Error('decided')
    })
    const flow = par(keeper, fails).settled().configure({ timeoutMs: 300 })
    const rescue = task('rescue', async (_: unknown, ctx) => {
      const code = await codeOf(ctx.run(flow, undefined))
      return [code, await ctx.run(takes, undefined)]
    })
    const graflow = await open([keeper, takes, fails, rescue])
    expect(await graflow.run(rescue, undefined)).toEqual(['GROUP_TIMEOUT', 'taken'])
    expect(held?.signal.aborted).toBe(true)
    gate.open()
  })

  it.each([1, 2])(
    'do not keep the last of %i slots from what their holder, or the next, waits for',
    async (slots) => {
      const leaf = task('leaf', (n: number) => n * 2)
      const forks = task('forks', async (n: number, ctx: TaskContext<number>): Promise<number> => {
        let sum = 0
        for (let i = 0; i < 3; i += 1) sum += await ctx.channel.lock('a', {}, async () => ctx.run(leaf, n))
        return sum
      })
      const graflow = await open([leaf, forks], { maxConcurrentTasks: slots })
      expect(await within(8_000, graflow.run(each(forks), [1, 2, 3, 4, 5]), 'forks')).toEqual([6, 12, 18, 24, 30])
    },
    10_000,
  )

  it('refuse keys, options and functions that they cannot take', async () => {
    const wrong = task('wrong', async (_: unknown, { channel }) => {
      const codes = [
        channel.lock('', {}, () => 1),
        channel.lock('a', { leaseMs: 0 }, () => 1),
        channel.lock('a', { waitMs: -1 }, () => 1),
        channel.lock('a', { waitMS: 1 } as object, () => 1),
        channel.lock('a', {}, 3 as never),
      ].map(factsOf)
      return Promise.all(codes.map(async (error) => [(await error).code, (await error).message]))
    })
    const graflow = await open([wrong])
    expect(await graflow.run(wrong, undefined)).toEqual([
      ['INVALID_NAME', expect.stringContaining('256')],
      ['INVALID_OPTION', expect.stringMatching(/^lock: leaseMs: expected an integer from 1 to .* \(ms\), got 0$/)],
      ['INVALID_OPTION', expect.stringContaining('lock: waitMs')],
      ['INVALID_OPTION', expect.stringContaining('did you mean "waitMs"')],
      ['INVALID_OPTION', 'lock calls a function while the lock is held, got 3'],
    ])
  })
})
