/** The process of one system: loads it, then does what its parent asks, one request at a time. Started by children.ts only. */
import type { Reply, Request } from './children.js'
import { heat, measureMemory, measureTime } from './measure.js'
import { loadSystem, SYSTEM_NAMES } from './systems.js'
import type { OpenSystem } from './system.js'
import { numbers, objects, type Workload, type WorkloadName } from './workload.js'

const heated = new Set<WorkloadName>()

async function answer<T>(open: OpenSystem, workload: Workload<T>, request: Request): Promise<Reply> {
  if (request.kind === 'memory') return { kind: 'memory', memory: await measureMemory(open, workload, request.count) }
  if (!heated.has(workload.name)) await heat(open, workload, request.heatMs)
  heated.add(workload.name)
  return { kind: 'timing', timing: await measureTime(open, workload, request) }
}

const reply = (message: Reply): void => {
  process.send?.(message)
}

const name = SYSTEM_NAMES.find((known) => known === process.argv[2])
if (name === undefined) throw new Error(`expected one of ${SYSTEM_NAMES.join(', ')}, got ${String(process.argv[2])}`)
const open = await loadSystem(name)
process.on('message', (request: Request) => {
  const answered = request.workload === 'number' ? answer(open, numbers, request) : answer(open, objects, request)
  answered.then(reply, (error: unknown) => {
    reply({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  })
})
reply({ kind: 'ready' })
