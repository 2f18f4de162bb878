/**
 * `npm run field:autoscaling`: real worker processes, as many as the formula of the Kubernetes autoscaler asks for. It reads the gauges of an
 * exporter, as Prometheus would: up under a burst, down to none after it, and up from none again. Nothing may be lost or started twice. While
 * all branches of a burst are held in flight, so that none is ready, the workers that run them must stay.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type Graflow } from 'graflow'
import { startExporter } from 'graflow/worker'
import { type Child, startWorker } from '../support/processes.js'
import { RedisServer } from '../support/redis-server.js'
import { elapse, until } from '../support/waits.js'
import { check, play, sampleOf } from './checks.js'
import { naps, napsOf } from './nap.tasks.js'

const PREFIX = 'field'
const TASKS = join(fileURLToPath(new URL('.', import.meta.url)), 'nap.tasks.ts')
/** Ready branches for each worker (averageValue), its slots, how many workers at most, and the period of the controller, 15 s in a cluster. */
const PER_WORKER = 10
const SLOTS = 4
const MOST = 4
const PERIOD_MS = 250
/** Of the last so many readings the largest counts for scaling down (stabilizationWindowSeconds). */
const WINDOW = 4

interface Reading {
  readonly depth: number
  readonly backlog: number
}

/** The formula for external metrics with an averageValue; of several metrics the largest answer counts. */
const wantedBy = ({ depth, backlog }: Reading): number =>
  Math.min(MOST, Math.max(Math.ceil(depth / PER_WORKER), Math.ceil(backlog / SLOTS)))

/** What the controller has decided so far. */
class Fleet {
  /** The size that each reading led to, beside it. */
  readonly steps: (Reading & { readonly size: number })[] = []
  readonly #url: string
  readonly #read: () => Promise<Reading>
  readonly #workers: Child[] = []
  readonly #leaving: Promise<unknown>[] = []
  readonly #recent: number[] = []
  #started = 0

  constructor(url: string, read: () => Promise<Reading>) {
    this.#url = url
    this.#read = read
  }

  get size(): number {
    return this.#workers.length
  }

  /** One period: what is read decides how many workers there are from now on. */
  async adjust(): Promise<void> {
    const reading = await this.#read()
    const wanted = wantedBy(reading)
    this.#recent.push(wanted)
    if (this.#recent.length > WINDOW) this.#recent.shift()
    const lowest = Math.max(...this.#recent)
    const starting: Promise<Child>[] = []
    while (this.#workers.length + starting.length < wanted) starting.push(this.#start())
    this.#workers.push(...(await Promise.all(starting)))
    while (this.#workers.length > lowest) this.#stop(this.#workers.pop())
    this.steps.push({ ...reading, size: this.size })
  }

  /** All that were told to stop have ended. */
  async settled(): Promise<readonly unknown[]> {
    return Promise.all(this.#leaving)
  }

  #start(): Promise<Child> {
    this.#started += 1
    return startWorker({
      ...{ tasks: TASKS, url: this.#url, keyPrefix: PREFIX, id: `w${this.#started}`, maxConcurrentTasks: SLOTS },
      gracefulShutdownTimeoutMs: 10_000,
    })
  }

  /** As Kubernetes does it: SIGTERM, and the worker drains. */
  #stop(worker: Child | undefined): void {
    if (worker === undefined) return
    worker.signal('SIGTERM')
    this.#leaving.push(worker.ends(20_000).then(({ code }) => code))
  }
}

const isHeld = ({ depth, backlog }: Reading): boolean => depth === 0 && backlog === MOST * SLOTS

/** A burst that fills all slots and is held there for longer than the window of scaling down, until the file `gate` is there. */
async function holdInFlight(fleet: Fleet, client: Graflow, gate: string): Promise<void> {
  const before = fleet.steps.length
  const held = (): Fleet['steps'] => fleet.steps.slice(before).filter(isHeld)
  let isOver = false
  const over = client.run(naps, napsOf(MOST * SLOTS, 50, gate)).finally(() => (isOver = true))
  over.catch(() => undefined) // what ends the script early closes the client
  await until(
    async () => {
      await fleet.adjust()
      await elapse(PERIOD_MS)
      if (held().length === WINDOW * 2) writeFileSync(gate, '')
      return isOver && fleet.size === 0
    },
    () => `the held branches to be over, and all workers to be stopped: ${JSON.stringify(fleet.steps.slice(before))}`,
    60_000,
  )
  const sizes = held().map(({ size }) => size)
  check(
    `workers stay while all branches are in flight and none is ready, for ${WINDOW * 2} periods of a window of ${WINDOW}`,
    sizes.length >= WINDOW * 2 && sizes.every((size) => size === MOST),
    sizes.join(' '),
  )
  const { starts } = await over
  check('none of these branches was started twice', starts.length === MOST * SLOTS, `${starts.length} starts`)
}

await play(async (onEnd) => {
  const redis = await RedisServer.start()
  onEnd(() => redis.stop())
  const url = `redis://127.0.0.1:${redis.port}`
  const exporter = await startExporter({
    ...{ redisUrl: url, keyPrefix: PREFIX, metricsPort: 0, metricsHost: '127.0.0.1', logLevel: 'warn' },
  })
  onEnd(() => exporter.close())
  const client = await connect(url, { keyPrefix: PREFIX, logLevel: 'warn' })
  onEnd(() => client.close())
  const fleet = new Fleet(url, async () => {
    const text = await (await fetch(`http://127.0.0.1:${exporter.port}/metrics`)).text()
    const read = (name: string): number => sampleOf(text, name, { key_prefix: PREFIX, queue: 'default' }) ?? Number.NaN
    return { depth: read('graflow_queue_depth'), backlog: read('graflow_backlog') }
  })
  for (const [burst, count] of [120, 40].entries()) {
    check('there is no worker before the burst', fleet.size === 0, fleet.size)
    const before = fleet.steps.length
    const result = client.run(naps, napsOf(count, 200))
    let isOver = false
    const over = result.finally(() => (isOver = true))
    over.catch(() => undefined) // as above
    await until(
      async () => {
        await fleet.adjust()
        await elapse(PERIOD_MS)
        return isOver && fleet.size === 0
      },
      'the burst to be over, and all workers to be stopped',
      60_000,
    )
    const { ended, starts } = await over
    const sizes = fleet.steps.slice(before).map(({ size }) => size)
    const numbers = (list: readonly number[]): string => [...list].sort((a, b) => a - b).join()
    const all = numbers(Array.from({ length: count }, (_, n) => n))
    const most = Math.max(...sizes)
    check(
      `burst ${burst + 1}: workers went up to ${Math.min(MOST, count / PER_WORKER)} and down to none`,
      most === Math.min(MOST, count / PER_WORKER),
      sizes.join(' '),
    )
    check('no branch was lost', numbers(ended.map(({ n }) => n)) === all, `${ended.length} ended`)
    check(
      'no branch was started twice',
      numbers(starts) === all && ended.every(({ attempt }) => attempt === 1),
      `${starts.length} starts`,
    )
  }
  const folder = mkdtempSync(join(tmpdir(), 'graflow-gate-'))
  onEnd(async () => rmSync(folder, { recursive: true, force: true }))
  await holdInFlight(fleet, client, join(folder, 'open'))
  const codes = await fleet.settled()
  check(
    'every worker drained and exited with 0',
    codes.every((code) => code === 0),
    codes,
  )
})
