/**
 * What grows with the age of a store, and what must not: runs kept past their retention while others start as fast as they can, how late a
 * deadline comes meanwhile, and the time of a run of a new kind where thousands of kinds were seen before. `npm run bench:growth`; the result
 * stands in docs/benchmarks.md.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { connect, each, task, type Graflow, type Task } from 'graflow'
import { Worker } from 'graflow/worker'
import { Redis } from 'ioredis'
import { RedisServer } from '../test/support/redis-server.js'
import { blocking, TIMEOUT_MS } from './blocking.js'
import { median } from './statistics.js'

const SECONDS = Number(process.argv[2] ?? 60)
const KINDS = Number(process.argv[3] ?? 4_000)
const RETENTION_MS = 1_000
/** Runs at once. */
const AT_ONCE = 60
const PROBE_EVERY_MS = 5_000
/** Runs of which the median is shown. */
const SAMPLE = 200

const quick = task('quick', (x: number) => x)
/** Of some kind. */
type Kind = Task<number, number>
const redis = await RedisServer.start()
const url = `redis://127.0.0.1:${redis.port}`

await purging()
await kinds()
await redis.stop()

/** Runs as fast as they go, each kept for a second; now and then a task that meets its deadline. */
async function purging(): Promise<void> {
  const keyPrefix = 'purging'
  const worker = new Worker({ redisUrl: url, keyPrefix, tasks: [quick], maxConcurrentTasks: 64, logLevel: 'silent' })
  await worker.start()
  const blocked = await startBlocked(keyPrefix)
  const client = await connect(url, { keyPrefix, retentionMs: RETENTION_MS, logLevel: 'silent' })
  const store = new Redis(url)
  const late: number[] = []
  const kept: number[] = []
  const begun = performance.now()
  const isOver = (): boolean => performance.now() - begun > SECONDS * 1_000
  let runs = 0
  const load = Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (!isOver()) {
        await client.run(each(quick), [1])
        runs += 1
      }
    }),
  )
  while (!isOver()) {
    const probedAt = performance.now()
    await client.run(each(blocking), [1]).catch(() => undefined)
    late.push(performance.now() - probedAt - TIMEOUT_MS)
    kept.push(await store.zcard(`{${keyPrefix}:0}:runs`))
    await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS))
  }
  await load
  console.log(
    `${Math.round(runs / SECONDS).toLocaleString('en')} runs a second for ${SECONDS} s, kept for ${RETENTION_MS} ms each: kept at the probes ${kept.join(', ')}; a deadline of ${TIMEOUT_MS} ms came late by ${late.map((ms) => Math.round(ms)).join(', ')} ms`,
  )
  store.disconnect()
  await client.close()
  await worker.stop()
  blocked.kill('SIGKILL')
}

/** A worker process for the task that blocks; resolves once it is ready. */
async function startBlocked(keyPrefix: string): Promise<ChildProcess> {
  const tasks = fileURLToPath(new URL('./blocking.ts', import.meta.url))
  const bin = fileURLToPath(new URL('../dist/bin/graflow-worker.js', import.meta.url))
  const args = [
    bin,
    '--tasks',
    tasks,
    '--queue',
    'blocking',
    '--redis-url',
    url,
    '--key-prefix',
    keyPrefix,
    '--log-format',
    'json',
  ]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise<void>((resolve) =>
    child.stdout.on('data', (text: Buffer) => {
      if (text.includes('is ready')) resolve()
    }),
  )
  return child
}

/** Each kind is a task of its own, which has been run once. */
async function kinds(): Promise<void> {
  const keyPrefix = 'kinds'
  const all = Array.from({ length: KINDS + SAMPLE }, (_, i) => task(`kind${i}`, (x: number) => x))
  const worker = new Worker({ redisUrl: url, keyPrefix, tasks: all, maxConcurrentTasks: 64, logLevel: 'silent' })
  await worker.start()
  const client = await connect(url, { keyPrefix, logLevel: 'silent' })
  const first = await newKindMs(client, all.slice(0, SAMPLE))
  for (const kind of all.slice(SAMPLE, -SAMPLE)) await client.run(each(kind), [1])
  const last = await newKindMs(client, all.slice(-SAMPLE))
  console.log(`a run of a new kind: ${first.toFixed(2)} ms as the first, ${last.toFixed(2)} ms after ${KINDS} kinds`)
  await client.close()
  await worker.stop()
}

async function newKindMs(client: Graflow, kinds: readonly Kind[]): Promise<number> {
  const times: number[] = []
  for (const kind of kinds) {
    const begun = performance.now()
    await client.run(each(kind), [1])
    times.push(performance.now() - begun)
  }
  return median(times)
}
