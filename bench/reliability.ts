/**
 * How long until what a worker had in hand, or a run that it drove, is started elsewhere: the worker is killed (kill -9) or stopped (SIGSTOP, so that its connections
 * stay open) in the middle of a task, again and again, on real processes and a private redis-server. Every result is checked. Prints a
 * table for docs/reliability.md.
 *
 *   npm run reliability [-- --kills 100 --stops 10 --drivers 200 --unawaited 200]
 */
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connect, each, type Graflow } from 'graflow'
import { gated } from '../test/faults/fault.tasks.js'
import { Ledger, monotonicMs } from '../test/support/ledger.js'
import { type Child, endChildren, startWorker } from '../test/support/processes.js'
import { RedisServer, redisVersion } from '../test/support/redis-server.js'
import { quantile } from './statistics.js'

const TASKS = fileURLToPath(new URL('../test/faults/fault.tasks.ts', import.meta.url))
const PREFIX = 'reliability'
const PATIENCE_MS = 20_000
/** A worker that has just started is idle like the others by then, and what happens may happen at any time between two renewals. */
const [SETTLED_MS, RENEWAL_MS] = [500, 1_000]

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    stops: { type: 'string', default: '10' },
    drivers: { type: 'string', default: '200' },
    unawaited: { type: 'string', default: '200' },
  },
})

/** Who is taken out, and whether a client waits for the result meanwhile. */
interface Victim {
  readonly isDriver: boolean
  readonly isAwaited: boolean
}

/** Two workers at any time, and a client that waits for one task at a time. */
class Field {
  readonly #server: RedisServer
  readonly #client: Graflow
  readonly #ledger: Ledger
  readonly #workers: Child[] = []
  #started = 0
  #rounds = 0

  constructor(server: RedisServer, client: Graflow, ledger: Ledger) {
    this.#server = server
    this.#client = client
    this.#ledger = ledger
  }

  /** Starts what is missing of two workers. */
  async fill(): Promise<void> {
    while (this.#workers.length < 2) {
      this.#started += 1
      const id = `worker-${this.#started}`
      const options = { tasks: TASKS, url: this.#server.url, keyPrefix: PREFIX, id, env: this.#ledger.env }
      this.#workers.push(await startWorker(options))
    }
  }

  /** Takes out the worker that runs a task, as a branch or as a step of a run that it drives; says how long it took until the other started it. */
  async takeOut(how: (worker: Child) => void, { isDriver, isAwaited }: Victim): Promise<number> {
    this.#rounds += 1
    const n = this.#rounds
    const item = { n, gate: `round-${n}` }
    if (!isAwaited) await new Promise((resolve) => setTimeout(resolve, SETTLED_MS + Math.random() * RENEWAL_MS))
    const run = isDriver ? await this.#client.submit(gated, item) : await this.#client.start(each(gated), [item])
    const mine = async (count: number) =>
      (await this.#ledger.until('start', 2 * (n - 1) + count, PATIENCE_MS)).at(-1) ?? fail('expected a start')
    const result = isAwaited ? run.result() : undefined
    result?.catch(() => undefined) // it is awaited below
    const first = await mine(1)
    const victim = this.#workers.find(({ pid }) => pid === first.pid) ?? fail('expected a start on one of the workers')
    const at = monotonicMs()
    how(victim)
    const second = await mine(2)
    this.#ledger.open(`round-${n}`)
    const given = JSON.stringify(await (result ?? run.result()))
    const wanted = JSON.stringify(isDriver ? n : [n])
    if (given !== wanted) fail(`expected ${wanted}, got ${given}`)
    if (second.pid === first.pid) fail('expected a start on the other worker')
    if (second.details['attempt'] !== 2) fail(`expected attempt 2, got ${String(second.details['attempt'])}`)
    await victim.kill9()
    this.#workers.splice(this.#workers.indexOf(victim), 1)
    return second.at - at
  }
}

function fail(message: string): never {
  throw new Error(message)
}

function row(what: string, times: readonly number[]): string {
  const at = (share: number): string => `${(quantile(times, share) / 1_000).toFixed(2)} s`
  return `| ${what} | ${times.length} | ${at(0)} | ${at(0.5)} | ${at(0.99)} | ${at(1)} |`
}

async function measure(): Promise<void> {
  const server = await RedisServer.start()
  const ledger = new Ledger()
  const client = await connect(server.url, { keyPrefix: PREFIX, logLevel: 'silent' })
  const field = new Field(server, client, ledger)
  const series = async (
    count: number,
    how: (worker: Child) => void,
    isDriver = false,
    isAwaited = true,
  ): Promise<number[]> => {
    const times: number[] = []
    for (let i = 0; i < count; i += 1) {
      await field.fill()
      times.push(await field.takeOut(how, { isDriver, isAwaited }))
      if (process.stderr.isTTY) process.stderr.write(`\r${i + 1} of ${count} `)
    }
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
    return times
  }
  try {
    const kills = await series(Number(values.kills), (worker) => worker.signal('SIGKILL'))
    const stops = await series(Number(values.stops), (worker) => worker.signal('SIGSTOP'))
    const drivers = await series(Number(values.drivers), (worker) => worker.signal('SIGKILL'), true)
    const unawaited = await series(Number(values.unawaited), (worker) => worker.signal('SIGKILL'), true, false)
    console.log(
      `${new Date().toISOString().slice(0, 10)}; redis-server ${redisVersion()}, Node.js ${process.versions.node}, ` +
        `${availableParallelism()} cores of ${cpus()[0]?.model ?? 'an unknown processor'}\n`,
    )
    console.log('| a worker, in the middle of a task | times | least | p50 | p99 | most |\n|---|---|---|---|---|---|')
    if (kills.length > 0) console.log(row('killed (SIGKILL)', kills))
    if (stops.length > 0) console.log(row('stopped (SIGSTOP)', stops))
    if (drivers.length > 0) console.log(row('killed as the driver of a run, in its step', drivers))
    if (unawaited.length > 0) console.log(row('the same in its first second, and nobody awaits the result', unawaited))
  } finally {
    await endChildren()
    await client.close()
    await server.stop()
    ledger.remove()
  }
}

await measure()
