/**
 * What the control plane bears, and what it costs those who work: requests for the state of a run, and watchers of one run. `npm run bench:server`; the
 * result stands in docs/benchmarks.md. Redis, the server, the worker and the callers share the processors of the machine.
 */
import { readFileSync } from 'node:fs'
import { connect as dial, type Socket } from 'node:net'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { connect, each, type Graflow } from 'graflow'
import { Child, endChildren, startWorker } from '../test/support/processes.js'
import { RedisServer } from '../test/support/redis-server.js'
import { step } from './server.tasks.js'
import { quantile } from './statistics.js'

const TASKS = fileURLToPath(new URL('./server.tasks.ts', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../dist/bin/graflow.js', import.meta.url))
const PREFIX = 'served'
const SECONDS = 8
const CONNECTIONS = 32
const BRANCHES = 50_000
const WATCHERS = 1_000

/** Processor time of a process so far, in ms. */
function cpuMs(pid: number): number {
  const [, rest = ''] = /\) (.*)$/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8').trim()) ?? []
  const fields = rest.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Asks for a path over and over on one connection, as fast as answers come. */
function caller(port: number, path: string, until: () => boolean, took: number[]): Promise<void> {
  const bytes = `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`
  return new Promise((resolve, reject) => {
    const socket = dial(port, '127.0.0.1').setNoDelay(true)
    let [at, text] = [0, '']
    const ask = (): void => {
      at = performance.now()
      socket.write(bytes)
    }
    socket.on('connect', ask).on('error', reject)
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1])
      if (end < 0 || text.length < end + 4 + length) return
      if (!text.startsWith('HTTP/1.1 200 ')) {
        reject(new Error(text.slice(0, 300)))
        return
      }
      took.push(performance.now() - at)
      text = ''
      if (until()) {
        socket.destroy()
        resolve()
      } else ask()
    })
  })
}

async function requests(server: Child, port: number, name: string, path: string): Promise<void> {
  const run = async (seconds: number): Promise<number[]> => {
    const took: number[] = []
    const end = performance.now() + seconds * 1_000
    await Promise.all(
      Array.from({ length: CONNECTIONS }, () => caller(port, path, () => performance.now() > end, took)),
    )
    return took
  }
  await run(2) // what is compiled at first
  const before = cpuMs(server.pid)
  const took = (await run(SECONDS)).sort((a, b) => a - b)
  const cpu = cpuMs(server.pid) - before
  const ms = (share: number): string => quantile(took, share).toFixed(1)
  console.log(
    `| ${name} | ${Math.round(took.length / SECONDS)} | ${ms(0.5)} ms | ${ms(0.99)} ms | ${((1_000 * cpu) / took.length).toFixed(0)} µs |`,
  )
}

/** Watchers of a run, which read all that comes. */
async function watch(port: number, id: string, count: number): Promise<{ readonly bytes: () => number; end(): void }> {
  let bytes = 0
  const sockets: Socket[] = []
  for (let i = 0; i < count; i += 1) {
    const socket = dial(port, '127.0.0.1')
    socket.on('error', () => undefined).on('data', (data) => (bytes += data.length))
    socket.write(`GET /api/v1/runs/${id}/events HTTP/1.1\r\nhost: localhost\r\n\r\n`)
    sockets.push(socket)
    await new Promise((resolve) => socket.once('data', resolve))
  }
  const end = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return { bytes: () => bytes, end }
}

/** Processor time of the worker for one run that so many watch. */
async function watched(
  graflow: Graflow,
  worker: Child,
  server: Child,
  port: number,
  watchers: number,
): Promise<string> {
  const id = `watched-${watchers}-${Math.round(performance.now())}`
  await graflow.queues.pause('default')
  const run = await graflow.submit(
    each(step),
    Array.from({ length: BRANCHES }, (_, i) => i),
    { id },
  )
  const watching = await watch(port, id, watchers)
  const [worked, served, from] = [cpuMs(worker.pid), cpuMs(server.pid), performance.now()]
  await graflow.queues.resume('default')
  await run.result()
  const tookMs = performance.now() - from
  const workerMs = cpuMs(worker.pid) - worked
  await new Promise((resolve) => setTimeout(resolve, 500)) // the last frames
  const line = `| ${watchers} | ${workerMs} ms | ${(tookMs / 1_000).toFixed(1)} s | ${cpuMs(server.pid) - served} ms | ${(watching.bytes() / Math.max(1, watchers) / 1_024).toFixed(0)} KiB |`
  watching.end()
  return line
}

const redis = await RedisServer.start()
const server = new Child({
  name: 'server',
  args: [
    PROGRAM,
    'serve',
    '--port',
    '0',
    '--log-format',
    'text',
    '--redis-url',
    redis.unixUrl,
    '--redis-key-prefix',
    PREFIX,
  ],
})
const [, port = ''] = await server.said(/ on http:\/\/127\.0\.0\.1:(\d+)\//)
const worker = await startWorker({ tasks: TASKS, url: redis.unixUrl, keyPrefix: PREFIX, id: 'w' })
const graflow = await connect(redis.unixUrl, { keyPrefix: PREFIX, logLevel: 'silent' })
const { id } = await graflow.submit(each(step), [1, 2, 3])
await (await graflow.attach(id)).result()

console.log(`${availableParallelism()} processors, ${CONNECTIONS} connections, ${SECONDS} s each\n`)
console.log('| request | a second | median | 99 % | processor of the server, each |\n|---|---|---|---|---|')
await requests(server, Number(port), 'health', '/livez')
await requests(server, Number(port), 'the state of a run', `/api/v1/runs/${id}`)
await requests(server, Number(port), 'a page of 50 runs', '/api/v1/runs?limit=50')
await requests(server, Number(port), 'queues', '/api/v1/queues')
console.log(
  `\n| watchers of a run of ${BRANCHES} branches | processor of the worker | run took | processor of the server | sent to each |`,
)
console.log('|---|---|---|---|---|')
await watched(graflow, worker, server, Number(port), 0) // what is compiled at first
for (const watchers of [0, 1, WATCHERS, 0, 1, WATCHERS])
  console.log(await watched(graflow, worker, server, Number(port), watchers))

await graflow.close()
server.signal('SIGTERM')
await server.exited
await endChildren()
await redis.stop()
