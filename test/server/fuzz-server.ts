/** A control plane to be fuzzed, in a process of its own: it says where it is, and how long its event loop stood still. */
import { connect, each, seq, task, waitFor, workflow } from 'graflow'
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const add = task('add', (n: number) => n + 1)
const boom = task('boom', () => {
  throw new Error('boom')
})
const sum = task('sum', (all: readonly number[]) => all.reduce((a, b) => a + b, 0))
const total = workflow('total', seq(each(add), sum))
const asking = workflow(
  'asking',
  seq(
    add,
    waitFor('answer'),
    task('after', (given: unknown) => given),
  ),
)
const failing = workflow('failing', boom)

const graflow = await connect({
  ...{ tasks: [add, boom, sum, total, asking, failing], logLevel: 'silent', retentionMs: 60_000 },
  serve: { port: 0 },
})
const ids = [
  'done',
  'asks',
  'fails',
  'add',
  'total',
  'asking',
  'failing',
  'answer',
  'default',
  'runs',
  'nosuch',
  '',
  'add >> sum',
  '0',
  '1',
]
await graflow.run(total, [1, 2, 3], { id: 'done' })
await graflow.start(asking, 1, { id: 'asks' })
await graflow.run(failing, undefined, { id: 'fails' }).catch(() => undefined)

let internal = 0
graflow.events.subscribe('log', ({ level, message, details }) => {
  if (level !== 'error' || !/ failed$/.test(message)) return
  internal += 1
  process.stderr.write(`${message}: ${details instanceof Error ? String(details.stack) : ''}\n`)
})

/** What the main thread has computed so far: the other threads of the process do not keep the event loop. */
function computedNs(): number {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ', 1)[0])
  } catch {
    const { user, system } = process.cpuUsage() // of all threads, where nothing tells more
    return (user + system) * 1_000
  }
}

/** How long it stood still, of which it computed so long: a machine with other work takes the processor away, too. */
let longest = { stoodMs: 0, computedMs: 0 }
let [lastAt, lastNs] = [performance.now(), computedNs()]
setInterval(() => {
  const [at, ns] = [performance.now(), computedNs()]
  const computedMs = Math.min(at - lastAt, (ns - lastNs) / 1e6)
  if (computedMs > longest.computedMs) longest = { stoodMs: at - lastAt, computedMs }
  lastAt = at
  lastNs = ns
}, 2).unref()
const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()

process.on('message', (word) => {
  if (word === 'begin') {
    longest = { stoodMs: 0, computedMs: 0 }
    delay.reset()
    process.send?.({ began: true })
  } else if (word === 'tell') {
    const { rss } = process.memoryUsage()
    process.send?.({ longest, internal, rss, p999Ms: delay.percentile(99.9) / 1e6 })
  } else if (word === 'end') {
    void graflow.close().then(() => process.exit(0))
  }
})
const hints = {
  workflow: ['total', 'asking', 'failing'],
  flow: ['add', 'add >> add', 'add | add', 'boom', 'add >> (add | boom)'],
  input: [1, [1, 2, 3], null],
  path: ['', '0', '1', '1/0'],
  name: ['answer', 'total', 'a'],
  state: ['running', 'failed', 'completed'],
}
process.send?.({ url: graflow.server?.url, ids, hints })
