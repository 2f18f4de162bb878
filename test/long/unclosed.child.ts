/** A program that forgets to close its client; says what it got, and must end by itself. Its argument names what it does before. */
import { connect, each, par, seq, task, type GraflowError } from '../../lib/index.js'

const add = task('add', (n: number) => n + 1)
const broken = task('broken', (): number => {
  throw new RangeError('broken')
})
const flaky = task('flaky', { retry: { attempts: 3, delayMs: 20 } }, (n: number, ctx) => {
  if (ctx.attempt < 3) throw new Error('again')
  return n
})
const quick = task('quick', { timeoutMs: 3_600_000 }, (n: number) => n)
const neverEnds = task('never-ends', () => new Promise<number>(() => undefined))
const forksAndLeaves = task('forks-and-leaves', (n: number, ctx) => {
  void ctx.run(par(broken, add), n)
  return n
})

const programs: Readonly<Record<string, () => Promise<unknown>>> = {
  'a run': async () => (await connect()).run(seq(add, par(add, quick), each(add)), 1),
  'a run with time limits': async () => {
    const graflow = await connect()
    const flow = seq(quick, par(quick, quick).configure({ timeoutMs: 3_600_000 }))
    return graflow.run(flow, 1, { timeoutMs: 3_600_000, signal: new AbortController().signal })
  },
  retries: async () => (await connect()).run(seq(flaky, par(flaky, add)), 1),
  'a submitted run': async () => (await (await connect()).submit(seq(add, par(add, add)), 1)).result(),
  'a failed run that nobody asks for': async () => {
    const run = await (await connect()).start(par(broken, add), 1)
    for await (const _ of run.events());
    return (await run.status()).state
  },
  'a cancelled run that nobody asks for': async () => {
    const run = await (await connect()).start(par(neverEnds, add), 1, { signal: new AbortController().signal })
    return run.cancel('enough')
  },
  'a handler past its timeout': async () => {
    const late = task('late', { timeoutMs: 10 }, () => new Promise<number>(() => undefined))
    return (await connect()).run(late).catch((error: unknown) => (error as GraflowError).code)
  },
  'a handler that goes on past its timeout': async () => {
    const goesOn = task('goes-on', { timeoutMs: 10 }, async (n: number, ctx) => {
      await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
      void ctx.run(add, n)
      void ctx.channel.set('late', n)
    })
    return (await connect()).run(goesOn, 1).catch((error: unknown) => (error as GraflowError).code)
  },
  'a fork that nobody waits for': async () => (await connect()).run(par(forksAndLeaves, add), 1),
  'a client closed at once': async () => {
    const graflow = await connect()
    const starts = [graflow.submit(par(neverEnds, add), 1), graflow.start(par(neverEnds, add), 1)]
    for (const start of starts) await start
    await graflow.close()
    return graflow.isRunning
  },
  'a group that timed out': async () => {
    const graflow = await connect()
    const flow = par(neverEnds, add).configure({ timeoutMs: 10 })
    return graflow.run(flow, 1).catch((error: unknown) => (error as GraflowError).code)
  },
  'a listener that throws': async () => {
    const stray: string[] = []
    process.on('uncaughtException', ({ message }) => stray.push(`uncaught: ${message}`))
    process.removeAllListeners('warning') // which writes them
    process.on('warning', ({ message }) => stray.push(message))
    const graflow = await connect({ logLevel: 'silent' })
    graflow.events.subscribe('log', () => {
      throw new Error("the log's own")
    })
    graflow.events.subscribe('run:state', ({ to }) => {
      throw new Error(`a listener's own: ${to}`)
    })
    graflow.events.subscribe('log', (): unknown => Promise.reject(new Error("another's, later")))
    const result = await graflow.run(add, 1)
    // a warning is emitted in the next tick
    await new Promise((resolve) => setImmediate(resolve))
    return [result, ...stray]
  },
  'a client that did nothing': async () => (await connect()).isRunning,
}

const name = process.argv[2] ?? ''
process.stdout.write(`${JSON.stringify(await programs[name]?.())}\n`)
