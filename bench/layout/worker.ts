/** A worker's process: two lanes, each settles what it did and acquires the next in one flush. Started by processes.ts only. */
import type { Redis } from 'ioredis'
import { BELL, type Call, flush, type Layout, type LayoutName, type Settled, TAG } from './layout.js'
import { connectTo, LAYOUTS, loadScripts } from './layouts.js'
import { serve, type WorkerReport, type WorkerRequest } from './processes.js'
import { handle } from './workload.js'

const LANES = ['a', 'b'] as const
const BELL_SECONDS = 1

/** Works until told to rest. */
class Worker {
  readonly #layout: Layout
  readonly #session: string
  readonly #redis: Redis
  readonly #bell: Redis
  readonly #batch: number
  #isResting = false
  #calls = 0
  #ring: Promise<unknown> | undefined
  #branches = 0
  #flushes = 0
  #empty = 0
  readonly #lanes: Promise<unknown>

  constructor(layout: Layout, session: string, redis: Redis, bell: Redis, batch: number) {
    this.#layout = layout
    this.#session = session
    this.#redis = redis
    this.#bell = bell
    this.#batch = batch
    this.#lanes = Promise.all(LANES.map((lane) => this.#work(lane)))
  }

  /** Finishes what was acquired. */
  async rest(): Promise<WorkerReport> {
    this.#isResting = true
    await this.#redis.rpush(BELL, '1', '1', '1') // to whoever waits, and then it is not missed by the next
    await this.#lanes
    return { branches: this.#branches, flushes: this.#flushes, empty: this.#empty }
  }

  async #work(lane: string): Promise<void> {
    let done: Settled[] = []
    while (!this.#isResting || done.length > 0) {
      const calls: Call[] = []
      if (done.length > 0) calls.push(this.#layout.settle(this.#session, done))
      if (!this.#isResting)
        calls.push(
          this.#layout.acquire(this.#session, lane, `${lane}${((this.#calls += 1)).toString(36)}`, this.#batch),
        )
      const replies = await flush(this.#redis, calls)
      this.#flushes += 1
      if (done.length > 0) {
        for (const answer of replies.shift() as readonly Buffer[])
          if (answer.toString('latin1') !== 'OK') throw new Error(`settle answered ${answer.toString('latin1')}`)
      }
      const [acquired] = replies
      const grants = acquired === undefined ? [] : this.#layout.grants(acquired)
      const wasDone = done.length > 0
      done = grants.map((grant) => {
        const results: Uint8Array[] = []
        for (let i = 0; i < grant.count; i++) results.push(handle(grant.input(i)))
        this.#branches += grant.count
        return { grant, results }
      })
      if (grants.length > 0) continue
      this.#empty += 1
      if (!this.#isResting && !wasDone) await this.#rung()
    }
  }

  /** One blocking read for both lanes. */
  async #rung(): Promise<void> {
    this.#ring ??= this.#bell.blpop(BELL, BELL_SECONDS).finally(() => (this.#ring = undefined))
    await this.#ring
  }
}

const [, , name, socket, session] = process.argv
if (name === undefined || socket === undefined || session === undefined)
  throw new Error('expected layout, socket, session')
const layout = LAYOUTS[name as LayoutName]
const [redis, bell] = [await connectTo(socket), await connectTo(socket)]
await loadScripts(redis, layout)
let worker: Worker | undefined

serve<WorkerRequest>(async ({ kind, batch }) => {
  if (kind === 'rest') return worker?.rest()
  await redis.zadd(`${TAG}:w`, Date.now() * 1_000, session)
  worker = new Worker(layout, session, redis, bell, batch)
  return undefined
})
