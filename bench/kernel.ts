/**
 * What the kernel costs a branch: step, acquire, settle and reading the outcomes of one group, without codec, engine or promises.
 * `npx tsx bench/kernel.ts` prints a markdown table of nanoseconds a branch: the fastest of many rounds for
 * each part, which is what other work on the machine disturbs least. At one branch the clock itself is a good part of it.
 */
import type { GroupSpec, SettleKind } from '../lib/backend/backend.js'
import { Kernel } from '../lib/backend/kernel/kernel.js'
import { concat, slice, type PackedItems } from '../lib/values/packed-items.js'

const SIZES = [1, 100, 10_000, 100_000]
const BATCHES = [256, 4_096]
const ITEM_BYTES = 16
const GRAPH = 'graph'

interface Timings {
  step: number
  acquire: number
  settle: number
  outcomes: number
  end: number
}

const nanoseconds = (): number => Number(process.hrtime.bigint())

function items(count: number): PackedItems {
  const ends = Uint32Array.from({ length: count }, (_, i) => (i + 1) * ITEM_BYTES)
  return { bytes: new Uint8Array(count * ITEM_BYTES).fill(7), ends }
}

function specOf(runId: string, size: number): GroupSpec {
  return {
    gid: `${runId}/0`,
    runId,
    graph: GRAPH,
    node: '0',
    digest: 'digest',
    size,
    shared: false,
    rule: 'first-failure',
    queue: 'default',
    requires: [],
    tasks: ['task'],
    priority: 0,
    depth: 1,
    limit: 0,
    attempts: 1,
    maxLosses: 3,
    timeoutMs: 0,
  }
}

function openKernel(): Kernel {
  const kernel = new Kernel({ maxRetainedRuns: 8 }, { notice: () => {}, activity: () => {} })
  const info = {
    baseId: 's',
    hostname: 'h',
    pid: 1,
    role: 'auto',
    queues: ['default'],
    capabilities: 'all',
    tasks: 'all',
    metadata: {},
  } as const
  kernel.session(0, { kind: 'open', session: 's', ttlMs: Number.POSITIVE_INFINITY, info })
  kernel.putGraph(0, GRAPH, new Uint8Array(100))
  return kernel
}

let runs = 0

/** One run with one group of `size`, dispatched and taken in batches; times each part. */
function runOnce(
  kernel: Kernel,
  now: number,
  inputs: PackedItems,
  size: number,
  batch: number,
  timings: Timings,
): void {
  runs += 1
  const runId = `run-${runs}`
  const opened = kernel.open(now, {
    runId,
    graph: GRAPH,
    digest: 'digest',
    input: new Uint8Array(8),
    session: 's',
    nonce: `open-${runs}`,
    tasks: [],
    maxLosses: 3,
    timeoutMs: 0,
    retentionMs: 60_000,
  })
  if (opened.status !== 'ok' || opened.token === undefined) throw new Error(`open answered ${opened.status}`)
  const holder = { gid: runId, index: 0, token: opened.token }
  const spec = specOf(runId, size)

  let at = nanoseconds()
  for (let from = 0; from < size; from += 4_096) {
    const part = slice(inputs, from, Math.min(size, from + 4_096))
    const answer = kernel.step(now, { holder, runId, group: { spec, from, inputs: part } })
    if (answer.status !== 'ok') throw new Error(`step answered ${answer.status}`)
  }
  timings.step += nanoseconds() - at

  const allSucceeded: SettleKind[] = new Array<SettleKind>(batch).fill('succeeded')
  const request = { session: 's', max: batch, queues: ['default'], capabilities: 'all' } as const
  for (let left = size, call = 0; left > 0; call++) {
    at = nanoseconds()
    const answer = kernel.acquire(now, { ...request, nonce: `${runId}:${call}` })
    timings.acquire += nanoseconds() - at
    if (answer.status !== 'ok') throw new Error('acquire: no session')
    for (const grant of answer.grants) {
      const { indexes, token, inputs: values } = grant
      const kinds = indexes.length === batch ? allSucceeded : allSucceeded.slice(0, indexes.length)
      at = nanoseconds()
      kernel.settle(now, { session: 's', ranges: [{ gid: spec.gid, token, indexes, kinds, values }] })
      timings.settle += nanoseconds() - at
      left -= indexes.length
    }
  }

  at = nanoseconds()
  const page = kernel.inspect(now).outcomes(spec.gid, 0)
  timings.outcomes += nanoseconds() - at
  if (page?.state !== 'released') throw new Error(`the group is ${page?.state}`)

  at = nanoseconds()
  kernel.step(now, { holder, runId, retire: [spec.gid], end: { state: 'completed', value: new Uint8Array(8) } })
  timings.end += nanoseconds() - at
}

function measure(size: number, batch: number): Timings {
  const kernel = openKernel()
  const inputs = concat([items(size)])
  const repeats = Math.max(1, Math.ceil(4_000 / size))
  const rounds: Timings[] = []
  for (let round = 0; round < 60; round++) {
    const timings: Timings = { step: 0, acquire: 0, settle: 0, outcomes: 0, end: 0 }
    for (let i = 0; i < repeats; i++) runOnce(kernel, 1_000 + round, inputs, size, batch, timings)
    rounds.push(timings)
  }
  const perBranch = (part: keyof Timings): number =>
    Math.min(...rounds.map((timings) => timings[part])) / repeats / size
  return {
    step: perBranch('step'),
    acquire: perBranch('acquire'),
    settle: perBranch('settle'),
    outcomes: perBranch('outcomes'),
    end: perBranch('end'),
  }
}

console.log('| branches | a call | step | acquire | settle | outcomes | retire and end | sum, ns a branch |')
console.log('|---|---|---|---|---|---|---|---|')
for (const size of SIZES) {
  for (const batch of BATCHES) {
    if (size < batch && batch !== BATCHES[0]) continue
    const { step, acquire, settle, outcomes, end } = measure(size, batch)
    const cells = [step, acquire, settle, outcomes, end, step + acquire + settle + outcomes + end]
    console.log(`| ${size} | ${batch} | ${cells.map((ns) => ns.toFixed(1)).join(' | ')} |`)
  }
}
