/** Slots and waits where they are scarce: who waits never keeps what it waits for from running, and what is not wanted lets go. */
import { connect, each, par, seq, task, type Graflow, type TaskContext } from 'graflow'
import { manualClock, seededRandom } from 'graflow/testing'
import { openDistant } from '../support/distant-store.js'
import { turn } from '../support/waits.js'

const id = task('id', (n: number) => n)

const untilAborted = ({ signal }: Pick<TaskContext, 'signal'>): Promise<never> =>
  new Promise((_, reject) => {
    signal.throwIfAborted()
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error)
    })
  })
const hangs = task('hangs', (_: number, ctx) => untilAborted(ctx))

/** Opened by hand. */
function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => undefined
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open: () => open() }
}

describe('slots', () => {
  let graflow: Graflow | undefined
  afterEach(() => graflow?.close())

  it('let an inner group be withdrawn at its timeout, although its branches have the only one', async () => {
    graflow = await connect({ maxConcurrentTasks: 1 })
    const inner = par(hangs, id).configure({ timeoutMs: 10 })
    expect(await graflow.run(each(seq(id, inner)).settled(), [1])).toMatchObject([{ error: { code: 'GROUP_TIMEOUT' } }])
  })

  it('are given back again when a second fork began before the first had its slot back', async () => {
    graflow = await connect({ maxConcurrentTasks: 1 })
    const forked = gate()
    const begun = gate()
    const second = gate()
    // Takes the slot that the first fork leaves, until the second has begun; before what was forked, whichever is there first.
    const takesSlot = task('takes-slot', { priority: 1 }, async (n: number) => {
      begun.open()
      await second.passed
      await turn()
      return n
    })
    const forks = task('forks', async (n: number, ctx) => {
      const first = ctx.run(id, 1)
      const next = begun.passed.then(turn).then(() => {
        second.open()
        return ctx.run(id, 2)
      })
      forked.open()
      return [await first, await next, n]
    })
    expect(await graflow.run(par(forks, takesSlot), 3)).toEqual([[1, 2, 3], 3])
  })

  it('are offered again when most of very many suspended branches were withdrawn', async () => {
    const client = await connect()
    graflow = client
    const fails = task('fails', { retry: { attempts: 2, delayMs: 3_600_000 } }, () => {
      throw new Error('later')
    })
    const suspended = await client.start(
      each(seq(fails, id)),
      Array.from({ length: 1_100 }, (_, i) => i),
    )
    const ended = suspended.result().catch((error: unknown) => error)
    let started = 0
    await new Promise<void>((resolve) => {
      client.events.subscribe('branch:retrying', () => {
        started += 1
        if (started === 1_000) resolve()
      })
    })
    const waits = await client.start(each(id), [1, 2])
    while ((await waits.status()).total === 0) await turn()
    await turn()
    await suspended.cancel('enough')
    expect(await waits.result()).toEqual([1, 2])
    expect(await ended).toMatchObject({ code: 'CANCELLED' })
  })

  it('come free when a branch was withdrawn before it was here', async () => {
    const turns = (what: string): number => (what === 'acquire' ? 10 : 0)
    const distant = await openDistant({ slots: 2, turns, random: seededRandom(1) })
    const run = await distant.client.start(each(hangs), [1, 2, 3])
    const ended = run.result().catch((error: unknown) => error)
    // Granted, as the store knows, and not here yet.
    while (
      (await distant.backend.inspect.queues()).every(({ queue, granted: granted }) => queue === 'runs' || granted === 0)
    )
      await turn()
    await run.cancel('enough')
    expect(await ended).toMatchObject({ code: 'CANCELLED' })
    expect(await distant.held()).toEqual({ inFlight: 0, timers: 0, orphans: 0, free: 2 })
    await distant.client.close()
  })
})

describe('a start that goes on after its handler', () => {
  it('has its deadline for each pass, not for all together', async () => {
    const clock = manualClock()
    const graflow = await connect({ clock, logLevel: 'silent' })
    const passes = task('passes', { timeoutMs: 500 }, async (n: number, ctx) => {
      await new Promise<void>((resolve) => {
        clock.after(400, resolve)
      })
      return n < 6 ? ctx.again(n + 1) : n
    })
    const run = graflow.run(each(passes), [1])
    for (let i = 0; i < 40; i += 1) {
      await turn()
      clock.advance(100)
    }
    expect(await run).toEqual([6])
    await graflow.close()
  })

  it('leaves nothing behind where it forked and did not wait', async () => {
    const distant = await openDistant({ slots: 2, turns: () => 0, random: seededRandom(1) })
    const leaves = task('leaves', async (n: number, ctx) => {
      void ctx.run(par(hangs, id).configure({ timeoutMs: 60_000 }), 1)
      await turn()
      return n
    })
    expect(await distant.client.run(each(leaves), [1, 2, 3])).toEqual([1, 2, 3])
    expect(await distant.held()).toEqual({ inFlight: 0, timers: 0, orphans: 0, free: 2 })
    await distant.client.close()
  })
})

describe('a submitted run', () => {
  it('whose driver hears of its cancellation before it has begun is not begun', async () => {
    const graflow = await connect()
    const started: string[] = []
    const first = task('first', async (_: number, ctx) => {
      started.push('first')
      await untilAborted(ctx)
    })
    const run = await graflow.submit(first, 1)
    await run.cancel('changed my mind')
    for (let i = 0; i < 10; i += 1) await turn()
    expect(started).toEqual([])
    await graflow.close()
  })
})
