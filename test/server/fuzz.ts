/**
 * `npm run fuzz:server`: sends requests by a seeded generator to a control plane in another process. It fails for an answer 500, for an error that is no
 * problem, for a server that ends, and for an event loop that computes for longer than 50 ms at a stretch.
 *
 * --requests N (200000), --seed N (1), --at-once N (8), --stall-ms N (50)
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Fuzzer, type FuzzRequest, type OpenApi, seeded } from './fuzz-requests.js'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '200000' },
    seed: { type: 'string', default: '1' },
    'at-once': { type: 'string', default: '8' },
    'stall-ms': { type: 'string', default: '50' },
  },
})
const [total, seed, atOnce] = [Number(values.requests), Number(values.seed), Number(values['at-once'])]

/** An answer that comes later is not waited for: streams go on for ever. */
const PATIENCE_MS = 2_000
const MOST_STALL_MS = Number(values['stall-ms'])

interface Told {
  readonly longest: { readonly stoodMs: number; readonly computedMs: number }
  readonly internal: number
  readonly rss: number
  readonly p999Ms: number
}

const server = fork(join(import.meta.dirname, 'fuzz-server.ts'), { execArgv: ['--import', 'tsx'] })
const life = { hasEnded: false }
server.on('exit', () => (life.hasEnded = true))
const tell = async <T>(child: ChildProcess, word?: string): Promise<T> => {
  if (word !== undefined) child.send(word)
  const [answer] = (await once(child, 'message')) as [T]
  return answer
}

const { url, ids, hints } = await tell<{
  readonly url: string
  readonly ids: readonly string[]
  readonly hints: Readonly<Record<string, readonly unknown[]>>
}>(server)
const { hostname, port } = new URL(url)
const document = (await (await fetch(new URL('openapi.json', url))).json()) as OpenApi
const fuzzer = new Fuzzer(document, seeded(seed), ids, hints)
const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
const statuses = new Map<number | string, number>()
const faults: string[] = []
const late: string[] = []

const count = (what: number | string): void => void statuses.set(what, (statuses.get(what) ?? 0) + 1)

function judge(sent: FuzzRequest, status: number, type: string, body: string): void {
  count(status)
  const told = `${sent.method} ${sent.path} ${JSON.stringify(sent.headers)} ${String(sent.body).slice(0, 400)}`
  if (status === 500) faults.push(`500: ${told}: ${body.slice(0, 400)}`)
  else if (status >= 400 && sent.method !== 'HEAD' && !isProblem(type, body))
    faults.push(`${status} without a problem: ${told}: ${type} ${body.slice(0, 200)}`)
}

/** JSON-RPC has a form of its own for what it cannot read. */
const isProblem = (type: string, body: string): boolean =>
  (type.startsWith('application/problem+json') && /"code":"[A-Z_]+"/.test(body)) ||
  /^\{"jsonrpc":"2\.0","id":null,"error":\{"code":-32/.test(body)

function send(sent: FuzzRequest): Promise<void> {
  return new Promise((resolve) => {
    const { method, path, headers, body } = sent
    let over = false
    const done = (): void => {
      if (over) return
      over = true
      clearTimeout(timer)
      resolve()
    }
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const outgoing = request({ hostname, port, method, path, agent, headers: { ...headers, ...length } }, (answer) => {
      const type = answer.headers['content-type'] ?? ''
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      const isStream = type.startsWith('text/event-stream')
      const finish = (): void => {
        if (!over) judge(sent, answer.statusCode ?? 0, type, text)
        done()
      }
      answer.on('end', finish).on('error', done)
      if (isStream) {
        finish()
        outgoing.destroy()
      }
    })
    const timer = setTimeout(() => {
      count('late')
      if (late.length < 10) late.push(`${method} ${path} ${String(body).slice(0, 200)}`)
      outgoing.destroy()
      done()
    }, PATIENCE_MS)
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      if (!over) count(error.code ?? 'error')
      done()
    })
    outgoing.end(body)
  })
}

function sendRaw(bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    const timer = setTimeout(() => socket.destroy(), 100)
    let text = ''
    socket.on('data', (data) => (text += data.toString('latin1')))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(timer)
      const status = /^HTTP\/1\.1 (\d+)/.exec(text)?.[1]
      count(status === undefined ? 'raw without an answer' : `raw ${status}`)
      if (status === '500')
        faults.push(
          `500 for raw bytes: ${JSON.stringify(bytes.toString('latin1').slice(0, 600))}: ${text.slice(0, 300)}`,
        )
      resolve()
    })
    socket.end(bytes)
  })
}

let sent = 0
async function lane(): Promise<void> {
  while (sent < total && !life.hasEnded && faults.length < 20) {
    sent += 1
    await (sent % 50 === 0 ? sendRaw(fuzzer.raw()) : send(fuzzer.next()))
    if (sent % 20_000 === 0) console.log(`${sent} requests`)
  }
}

try {
  // what is loaded and compiled at first is not measured
  for (let i = 0; i < 500; i += 1) await send(fuzzer.next())
  statuses.clear()
  await tell(server, 'begin')
  const from = performance.now()
  await Promise.all(Array.from({ length: atOnce }, lane))
  const seconds = (performance.now() - from) / 1_000
  if (life.hasEnded) faults.push('the server has ended')
  else {
    const { longest, internal, rss, p999Ms } = await tell<Told>(server, 'tell')
    console.log(
      `event loop: computed for at most ${longest.computedMs.toFixed(1)} ms at a stretch (${longest.stoodMs.toFixed(1)} ms by the clock), p99.9 ${p999Ms.toFixed(1)} ms; memory ${(rss / 2 ** 20).toFixed(0)} MiB`,
    )
    if (longest.computedMs > MOST_STALL_MS)
      faults.push(`the event loop computed for ${longest.computedMs.toFixed(1)} ms at a stretch`)
    if (internal > 0) faults.push(`${internal} errors of its own in the log`)
  }
  console.log(
    `seed ${seed}: ${sent} requests over ${Object.keys(document.paths).length} paths in ${seconds.toFixed(1)} s`,
  )
  console.log(
    [...statuses]
      .sort()
      .map(([status, times]) => `${status}: ${times}`)
      .join(', '),
  )
} finally {
  agent.destroy()
  if (!life.hasEnded) server.kill()
}
for (const one of late) console.log(`no answer within ${PATIENCE_MS} ms: ${one}`)
for (const fault of faults) console.log(`FAULT ${fault}`)
console.log(faults.length === 0 ? 'fuzz: ok' : `fuzz: ${faults.length} faults`)
process.exitCode = faults.length === 0 ? 0 : 1
