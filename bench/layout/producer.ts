/**
 * A producer's process: dispatches a group in calls of bounded size, two on their way at a time, waits for the event of its release,
 * reads all outcomes and checks them. Started by processes.ts only.
 */
import type { Redis } from 'ioredis'
import type { Packed } from '../../lib/values/packed-items.js'
import { asText, flush, type Group, type Layout, type LayoutName, MOST_BYTES, SUCCEEDED, TAG } from './layout.js'
import { connectTo, LAYOUTS, loadScripts } from './layouts.js'
import { type RunsReport, type RunsRequest, serve } from './processes.js'
import { Checksum, expectedSum, makeInputs } from './workload.js'

const ITEMS_PER_CALL = 256
const CALLS_UNDER_WAY = 2
const INBOX = `${TAG}:in:producer`
const RUN = 'run-0123456789abcdef'
const TOKEN = '1790000000000000.producer'

const [, , name, socket] = process.argv
if (name === undefined || socket === undefined) throw new Error('expected layout and socket')
const layout: Layout = LAYOUTS[name as LayoutName]
const [redis, inbox] = [await connectTo(socket), await connectTo(socket)]
await loadScripts(redis, layout)

let sequence = 0
/** Inputs are made before the clock runs, and kept for the next round. */
const made = new Map<string, { readonly inputs: Packed; readonly sum: number }>()

serve<RunsRequest>(async (request) => {
  await flush(redis, layout.openRun(RUN, TOKEN))
  const releases = new Releases(inbox)
  const { inputs, sum } = inputsOf(request)
  const timesUs: number[] = []
  const startedAt = performance.now()
  let at = startedAt
  do {
    await runOnce(releases, inputs, sum)
    const now = performance.now()
    timesUs.push((now - at) * 1_000)
    at = now
  } while (at - startedAt < request.timedMs || timesUs.length < request.leastRuns)
  const report: RunsReport = { runs: timesUs.length, totalMs: at - startedAt, timesUs }
  return report
})

function inputsOf({ count, bytes }: RunsRequest): { readonly inputs: Packed; readonly sum: number } {
  const key = `${count} ${bytes}`
  const known = made.get(key)
  if (known !== undefined) return known
  const inputs = makeInputs(count, bytes)
  const entry = { inputs, sum: expectedSum(inputs) }
  made.set(key, entry)
  return entry
}

async function runOnce(releases: Releases, inputs: Packed, sum: number): Promise<void> {
  sequence += 1
  const size = inputs.ends.length
  const group: Group = { run: RUN, token: TOKEN, gid: `${RUN}/${sequence}.0`, size, inbox: INBOX }
  const released = releases.next()
  await dispatch(group, inputs)
  const gid = await released
  if (gid !== group.gid) throw new Error(`expected the release of ${group.gid}, got ${gid}`)
  const checksum = new Checksum()
  const seen = new Uint8Array(size)
  const count = await layout.readOutcomes(redis, group, (index, kind, value) => {
    if (kind !== SUCCEEDED || seen[index] !== 0)
      throw new Error(`branch ${index}: kind ${kind}, seen ${String(seen[index])}`)
    seen[index] = 1
    checksum.add(index, value)
  })
  if (count !== size || checksum.sum !== sum)
    throw new Error(`expected ${size} outcomes with sum ${sum}, got ${count} with ${checksum.sum}`)
}

async function dispatch(group: Group, inputs: Packed): Promise<void> {
  const underWay: Promise<unknown[]>[] = []
  const finish = async (): Promise<void> => {
    const [reply] = (await underWay.shift()) ?? []
    const [status] = reply as readonly (Buffer | number)[]
    if (asText(status) !== 'OK') throw new Error(`step answered ${String(reply)}`)
  }
  for (let from = 0; from < group.size; ) {
    const to = fitting(inputs, from)
    underWay.push(flush(redis, [layout.step(group, inputs, from, to)]))
    from = to
    if (underWay.length === CALLS_UNDER_WAY) await finish()
  }
  while (underWay.length > 0) await finish()
}

/** As many items as one call may have; at least one. */
function fitting({ ends }: Packed, from: number): number {
  const start = from === 0 ? 0 : (ends[from - 1] ?? 0)
  let to = Math.min(ends.length, from + ITEMS_PER_CALL)
  while (to - from > 1 && (ends[to - 1] ?? 0) - start > MOST_BYTES) to -= 1
  return to
}

/** The inbox, read on. */
class Releases {
  readonly #redis: Redis
  #position = '0'

  constructor(redis: Redis) {
    this.#redis = redis
  }

  /** The group of the next release event. */
  async next(): Promise<string> {
    for (;;) {
      const found = await this.#redis.xread('COUNT', 1, 'BLOCK', 5_000, 'STREAMS', INBOX, this.#position)
      const [id, fields] = found?.[0]?.[1][0] ?? []
      if (id === undefined || fields === undefined) continue
      this.#position = id
      return fields[1] ?? ''
    }
  }
}
