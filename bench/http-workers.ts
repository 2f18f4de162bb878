/**
 * What HTTP costs a worker: branches a second of tasks that do next to nothing, by a worker process on Redis and by one that speaks HTTP with a control
 * plane, in turns, so that whatever else the machine does hits both. `npm run bench:http-workers`; the result stands in docs/benchmarks.md.
 */
import { spawn } from 'node:child_process'
import { Agent, request } from 'node:http'
import { loadavg } from 'node:os'
import { connect, declareTask, each } from 'graflow'
import { findServer, LocalCluster } from '../examples/support/local-cluster.js'
import { median } from './statistics.js'

const ROUNDS = Number(process.argv[2] ?? 5)
const BRANCHES = Number(process.argv[3] ?? 5_000)
const signal = new AbortController().signal
const server = findServer()
if (server === undefined) throw new Error('expected redis-server on PATH')

/** The rate of one round, in branches a second. */
type Round = () => Promise<number>

const cluster = await LocalCluster.start({
  ...{ server, signal, workers: 1, maxConcurrentTasks: 64 },
  tasks: new URL('http-workers.tasks.ts', import.meta.url).pathname,
})
const graflow = await connect(cluster.url, { keyPrefix: cluster.keyPrefix, logLevel: 'warn' })
const items = Array.from({ length: BRANCHES }, (_, i) => i)

/** A control plane in a process of its own, and its address. */
const program = new URL('../dist/bin/graflow.js', import.meta.url).pathname
const where = ['--redis-url', cluster.url, '--redis-key-prefix', cluster.keyPrefix, '--port', '0']
const plane = spawn(process.execPath, [program, 'serve', ...where], { stdio: ['ignore', 'pipe', 'pipe'] })
const base = await new Promise<string>((resolve, reject) => {
  let said = ''
  const hear = (chunk: Buffer): void => {
    const found = /http:\/\/127\.0\.0\.1:\d+/.exec((said += String(chunk)))
    if (found !== null) resolve(`${found[0]}/api/v1/cluster/workers`)
  }
  plane.stdout.on('data', hear)
  plane.stderr.on('data', hear)
  plane.once('exit', () => {
    reject(new Error(`the control plane ended: ${said}`))
  })
})
const agent = new Agent({ keepAlive: true })

function post(path: string, body: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const text = JSON.stringify(body)
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
    const call = request(`${base}${path}`, { method: 'POST', agent, headers }, (answer) => {
      let got = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => (got += chunk))
      answer.on('end', () => {
        if ((answer.statusCode ?? 500) < 300) resolve(JSON.parse(got))
        else reject(new Error(`${path}: ${answer.statusCode} ${got}`))
      })
    })
    call.on('error', reject)
    call.end(text)
  })
}

/** A worker that takes `max` tasks at once, until it is stopped. */
async function remote(name: string, max: number): Promise<() => Promise<void>> {
  const { id } = (await post('/register', { workerId: name, tasks: [`http-${max}`] })) as { id: string }
  let isOver = false
  const work = async (): Promise<void> => {
    while (!isOver) {
      const { tasks } = (await post(`/${id}/acquire`, { max, waitMs: 500 })) as {
        tasks: { token: string; input: number }[]
      }
      if (tasks.length === 0) continue
      const results = tasks.map(({ token, input }) => ({ token, result: input + 1 }))
      await post(`/${id}/complete`, { tasks: results })
    }
  }
  const ended = work()
  return async () => {
    isOver = true
    await ended
    await post(`/${id}/deregister`, {})
  }
}

const roundOf =
  (task: string, count = BRANCHES): Round =>
  async () => {
    const begun = performance.now()
    const results = await graflow.run(each(declareTask<number, number>(task)), items.slice(0, count))
    if (results.some((result, i) => result !== i + 1)) throw new Error('expected each number and one more')
    return (1_000 * count) / (performance.now() - begun)
  }

const stops = [await remote('batches-1', 64), await remote('batches-2', 64)]
for (let i = 0; i < 8; i += 1) stops.push(await remote(`single-${i}`, 1))
const sides: readonly (readonly [name: string, round: Round])[] = [
  ['a worker process with 64 slots', roundOf('native')],
  ['2 workers over HTTP, 64 tasks a call', roundOf('http-64')],
  ['8 workers over HTTP, 1 task a call', roundOf('http-1', Math.ceil(BRANCHES / 10))],
]
try {
  console.log(`${BRANCHES} branches, ${ROUNDS} rounds; load average ${loadavg()[0]?.toFixed(1)}`)
  for (const [, round] of sides) await round() // connections open, code is compiled
  const rates = sides.map((): number[] => [])
  for (let i = 0; i < ROUNDS; i += 1) for (const [k, [, round]] of sides.entries()) rates[k]?.push(await round())
  for (const [k, [name]] of sides.entries()) {
    const own = rates[k] ?? []
    const ratios = own.map((rate, i) => rate / (rates[0]?.[i] ?? NaN))
    console.log(`${name}: ${median(own).toFixed(0)} branches/s, ${median(ratios).toFixed(2)} of the first (medians)`)
  }
} finally {
  for (const stop of stops) await stop()
  plane.kill()
  agent.destroy()
  await graflow.close()
  await cluster.stop()
}
