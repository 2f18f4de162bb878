/** The process of one system: loads it, then does what its parent asks, one request at a time. Started by children.ts only. */
import type { Reply, Request } from './children.js'
import { measureMemory, measureTime } from './measure.js'
import { loadSystem, SYSTEM_NAMES, type OpenSystem } from './systems.js'
import { numbers, objects, type Workload } from './workload.js'

async function answer<T>(open: OpenSystem, workload: Workload<T>, request: Request): Promise<Reply> {
  return request.kind === 'time'
    ? { kind: 'timing', timing: await measureTime(open, workload, request) }
    : { kind: 'memory', memory: await measureMemory(open, workload, request.count) }
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
