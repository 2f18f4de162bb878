/** One system with its server and its processes, as it is measured. */
import { setTimeout as elapse } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { RedisServer } from '../../test/support/redis-server.js'
import { median } from '../statistics.js'
import { usageOf } from '../redis-usage.js'
import type { Place } from './adapter.js'
import { type FarPlace, openFarPlace } from './far-place.js'
import type { LastWork } from './last-work.js'
import { type Load, numbers } from './loads.js'
import { Child, type Spent } from './processes.js'
import type { KillSample, Sample, Settings, Single } from './results.js'
import { KILLED } from './rows.js'
import type { PeerName } from './systems.js'

const WITHIN_MS = 120_000
/** Branches of the runs that nobody measures. */
const HEAT_COUNTS = [1, 100]
/** From the start of a run. */
const KILLED_AFTER_MS = 15

const placeOf = ({ socket }: RedisServer): Place => ({ connection: { path: socket }, url: `unix://${socket}` })

/** `close` it when done. */
export class Stage {
  readonly system: PeerName
  readonly #server: RedisServer
  readonly #redis: Redis
  readonly #producer: Child
  readonly #far: FarPlace | undefined
  #workers: readonly Child[]
  /** Of workers that were killed. */
  readonly #lastOfDead: LastWork[] = []

  private constructor(
    system: PeerName,
    server: RedisServer,
    far: FarPlace | undefined,
    producer: Child,
    workers: readonly Child[],
  ) {
    this.system = system
    this.#server = server
    this.#far = far
    this.#redis = new Redis(server.socket)
    this.#producer = producer
    this.#workers = workers
  }

  /**
   * @param profiles a folder for the CPU profiles of its processes; undefined: none are made
   * @param delayMs each way between the processes and the server; undefined: nothing is between them
   */
  static async open(system: PeerName, workers: number, profiles?: string, delayMs?: number): Promise<Stage> {
    const server = await RedisServer.start()
    const far = delayMs === undefined ? undefined : await openFarPlace(server.socket, delayMs)
    const place = far === undefined ? placeOf(server) : { connection: far.connection, url: far.url }
    const roles = ['producer', ...Array.from({ length: workers }, () => 'worker' as const)] as const
    const flags = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`, '--cpu-prof-interval=200']
    const starts = await Promise.allSettled(roles.map((role) => Child.start(system, role, place, flags)))
    const children = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
    const [producer, ...others] = children
    const failed = starts.find((start) => start.status === 'rejected')
    if (failed === undefined && producer !== undefined) return new Stage(system, server, far, producer, others)
    for (const child of children) child.stop()
    far?.close()
    await server.stop()
    throw failed?.reason
  }

  async close(): Promise<void> {
    await Promise.all([this.#producer, ...this.#workers].map((child) => child.end()))
    this.#redis.disconnect()
    this.#far?.close()
    await this.#server.stop()
  }

  /** Lets the compiler see the code at work before anything is measured. */
  async heat(ms: number): Promise<void> {
    for (const count of HEAT_COUNTS)
      await this.#producer.stream(
        { load: numbers(count), warmMs: ms / HEAT_COUNTS.length, timedMs: 0, leastRuns: 0 },
        WITHIN_MS,
      )
  }

  /** Single runs, then a stream of them. @throws Error when a result is wrong, missing or there twice, or a branch was */
  async measure(count: number, settings: Settings): Promise<Omit<Sample, 'round' | 'system' | 'workers' | 'count'>> {
    const load = numbers(count)
    const handledBefore = await this.#handled()
    const idle = await this.#memory()
    const singles = [await this.#single(load)]
    const { peak } = await this.#memory()
    const until = performance.now() + settings.singlesMs
    while (singles.length < settings.mostSingles && performance.now() < until) singles.push(await this.#single(load))

    const longestMs = Math.max(...singles.map(({ totalMs }) => totalMs))

    const before = await this.#spent()
    const { timesMs, warmRuns } = await this.#producer.stream(
      // What takes long is warm by now.
      { load, warmMs: longestMs < settings.warmMs ? settings.warmMs : 0, timedMs: settings.timedMs, leastRuns: 1 },
      WITHIN_MS,
    )
    const after = await this.#spent()

    const runs = timesMs.length + warmRuns
    const handled = (await this.#handled()) - handledBefore
    const expected = (runs + singles.length) * count
    if (handled !== expected)
      throw new Error(`${this.system}: expected ${expected} branches to be handled, once each, got ${handled}`)
    const each = (from: number, to: number): number => (to - from) / (runs * count)
    return {
      singles,
      timesMs,
      cost: {
        commands: each(before.redis.commands, after.redis.commands),
        redisUs: each(before.redis.cpuUs, after.redis.cpuUs),
        producerUs: each(before.producer.cpuUs, after.producer.cpuUs),
        workersUs: each(cpuOf(before.workers), cpuOf(after.workers)),
      },
      peakBytes: peak > idle.peak ? (peak - idle.used) / count : undefined,
      residentBytes: {
        producer: after.producer.peakBytes,
        worker: Math.max(...after.workers.map(({ peakBytes }) => peakBytes)),
      },
    }
  }

  /** The same load again and again, timed by the producer. @throws Error as above */
  async measureLoad(load: Load, { warmMs, timedMs }: Settings): Promise<readonly number[]> {
    const handledBefore = await this.#handled()
    const stream = { load, warmMs, timedMs, leastRuns: 1 }
    const { timesMs, warmRuns } = await this.#producer.stream(stream, WITHIN_MS)
    const expected = (timesMs.length + warmRuns) * load.count * load.runs
    const handled = (await this.#handled()) - handledBefore
    if (handled !== expected)
      throw new Error(`${this.system}: expected ${expected} branches to be handled, once each, got ${handled}`)
    return timesMs
  }

  /** Runs, while every so often a worker is killed (kill -9) and another is started; once at least. */
  async measureKills({ killingMs, killEveryMs }: Settings): Promise<Omit<KillSample, 'round'>> {
    const singles: Single[] = []
    const starts: Promise<void>[] = []
    const begunAt = performance.now()
    while (performance.now() - begunAt < killingMs || starts.length === 0) {
      const isKilling = performance.now() - begunAt >= (starts.length + 1) * killEveryMs
      const [single] = await Promise.all([this.#single(KILLED), isKilling ? this.#kill() : undefined])
      singles.push(single)
      if (isKilling) starts.push(this.#startWorker())
    }
    await Promise.all(starts)
    return { kills: starts.length, singles }
  }

  /** The worker that is there for longest, in the middle of a run. */
  async #kill(): Promise<void> {
    await elapse(KILLED_AFTER_MS)
    const [victim, ...others] = this.#workers
    if (victim === undefined) throw new Error('expected a worker to kill')
    this.#workers = others
    this.#lastOfDead.push(await victim.last())
    victim.stop()
  }

  async #startWorker(): Promise<void> {
    const worker = await Child.start(this.system, 'worker', placeOf(this.#server), [])
    this.#workers = [...this.#workers, worker]
  }

  /** Of a PING as the processes would send it. */
  async roundTripMs(): Promise<number> {
    const redis = new Redis({ ...(this.#far?.connection ?? { path: this.#server.socket }) })
    const times: number[] = []
    for (let i = 0; i < 100; i += 1) {
      const sentAt = performance.now()
      await redis.ping()
      times.push(performance.now() - sentAt)
    }
    redis.disconnect()
    return median(times)
  }

  async #single(load: Load): Promise<Single> {
    const { startedAt, wentOnAt } = await this.#producer.once(load, WITHIN_MS)
    const lasts = [...this.#lastOfDead, ...(await Promise.all(this.#workers.map((worker) => worker.last())))]
    const latest = (times: readonly (number | undefined)[]): number => Math.max(...times.map((time) => time ?? 0))
    return {
      totalMs: wentOnAt - startedAt,
      joinMs: wentOnAt - latest(lasts.map(({ sentAt }) => sentAt)),
      afterHandlerMs: wentOnAt - latest(lasts.map(({ handlerEndedAt }) => handlerEndedAt)),
    }
  }

  async #handled(): Promise<number> {
    const lasts = await Promise.all(this.#workers.map((worker) => worker.last()))
    return lasts.reduce((sum, { handled }) => sum + handled, 0)
  }

  async #memory(): Promise<{ readonly used: number; readonly peak: number }> {
    const text = await this.#redis.info('memory')
    const number = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN)
    return { used: number('used_memory'), peak: number('used_memory_peak') }
  }

  async #spent() {
    const [redis, producer, workers] = await Promise.all([
      usageOf(this.#redis),
      this.#producer.spent(),
      Promise.all(this.#workers.map((worker) => worker.spent())),
    ])
    return { redis, producer, workers }
  }
}

const cpuOf = (spent: readonly Spent[]): number => spent.reduce((sum, { cpuUs }) => sum + cpuUs, 0)
