/** The process of one system's producer or worker: does what the driver asks, one request at a time. Started by processes.ts only. */
import { machineNow, watchedHandler } from './last-work.js'
import { checkResults, itemsOf, type Load } from './loads.js'
import {
  type OnceReport,
  type Request,
  ROLES,
  type Role,
  serve,
  type Spent,
  type Stream,
  type StreamReport,
} from './processes.js'
import { loadAdapter, PEER_NAMES } from './systems.js'
import type { Place, Producer } from './adapter.js'

// What is measured runs as it would where it is compiled: the stack of an error costs a hundred times as much with source maps.
process.setSourceMapsEnabled(false)

const [, , systemWord, roleWord, placeText] = process.argv
const system = PEER_NAMES.find((name) => name === systemWord)
const role = ROLES.find((name) => name === roleWord)
if (system === undefined || role === undefined || placeText === undefined)
  throw new Error(`expected system, role and place, got ${process.argv.slice(2).join(' ')}`)
const adapter = await loadAdapter(system)
serve(await answering(role, JSON.parse(placeText) as Place))

async function answering(role: Role, place: Place): Promise<(request: Request) => unknown> {
  if (role === 'worker') {
    const { handle, last } = watchedHandler()
    await adapter.openWorker(place, handle)
    return (request) => {
      if (request.kind === 'last') return last()
      if (request.kind === 'spent') return spent()
      throw new Error(`no worker does ${request.kind}`)
    }
  }
  const producer = await adapter.openProducer(place)
  return (request) => {
    if (request.kind === 'once') return once(producer, request.load)
    if (request.kind === 'stream') return stream(producer, request)
    if (request.kind === 'spent') return spent()
    throw new Error(`no producer does ${request.kind}`)
  }
}

async function once(producer: Producer, load: Load): Promise<OnceReport> {
  const run = load.isSettled ? producer.outcomes : producer.run
  if (run === undefined) throw new Error('no failing branches with this system')
  const items = itemsOf(load)
  const startedAt = machineNow()
  const all = await Promise.all(Array.from({ length: load.runs }, () => run(items)))
  const wentOnAt = machineNow()
  for (const results of all) checkResults(results, load)
  return { startedAt, wentOnAt }
}

async function stream(producer: Producer, { load, warmMs, timedMs, leastRuns }: Stream): Promise<StreamReport> {
  const runs = async (forMs: number, least: number): Promise<readonly number[]> => {
    const timesMs: number[] = []
    const until = machineNow() + forMs
    while (machineNow() < until || timesMs.length < least) {
      const { startedAt, wentOnAt } = await once(producer, load)
      timesMs.push(wentOnAt - startedAt)
    }
    return timesMs
  }
  const { length: warmRuns } = await runs(warmMs, 0)
  return { timesMs: await runs(timedMs, leastRuns), warmRuns }
}

function spent(): Spent {
  const { user, system } = process.cpuUsage()
  return { cpuUs: user + system, peakBytes: process.resourceUsage().maxRSS * 1_024 }
}
