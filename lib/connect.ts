/** Puts the rooms together: chooses the backend and gives a client over it. The one place in lib that knows which backends there are. */
import { hostname } from 'node:os'
import { openMemoryBackend } from './backend/kernel/memory-backend.js'
import { Engine } from './engine/engine.js'
import { DEFAULT_LIMITS } from './engine/limits.js'
import { GraflowError } from './errors.js'
import { Emitter } from './events.js'
import { expressionOf } from './flow/node.js'
import { writeLogLines } from './observe/log-lines.js'
import { CONNECT_OPTIONS, checkOptions, LIMIT_OPTIONS } from './options.js'
import { Client } from './producer/client.js'
import type { Address, ConnectOptions, Graflow } from './producer/types.js'
import { systemClock, systemId, systemRandom } from './time.js'
import { WorkerLoop } from '../worker/worker-loop.js'

const DEFAULT_CONCURRENCY = 256
const DEFAULT_RETENTION_MS = 24 * 3_600_000

/**
 * Connects to a store. Without an address, or with `memory:`, it is this process: the same engine and the same semantics, no server. A
 * task in any queue and with any `requires` runs here.
 *
 * @example
 * const graflow = await connect()
 * await graflow.run(task('double', (n: number) => n * 2), 21) // → 42
 *
 * @throws GraflowError INVALID_OPTION; NOT_AVAILABLE for an address that this version cannot connect to
 */
export function connect(address?: Address, options?: ConnectOptions): Promise<Graflow>
export function connect(options: ConnectOptions): Promise<Graflow>
export async function connect(first?: Address | ConnectOptions, second?: ConnectOptions): Promise<Graflow> {
  const address = typeof first === 'object' ? undefined : first
  const options = checkOptions<ConnectOptions>('connect', CONNECT_OPTIONS, typeof first === 'object' ? first : second)
  const limits = { ...DEFAULT_LIMITS, ...checkOptions('connect: limits', LIMIT_OPTIONS, options.limits) }
  if (address !== undefined && address !== 'memory:') {
    throw new GraflowError(
      'NOT_AVAILABLE',
      `expected no address or 'memory:' (the embedded engine), got ${shownAddress(address)}: this version has no Redis backend yet`,
    )
  }
  const clock = options.clock ?? systemClock
  const emitter = new Emitter(() => clock.now())
  const instanceId = options.instanceId ?? `embedded-${systemId().slice(0, 8)}`
  const backend = openMemoryBackend({
    clock,
    ...(options.maxBytes !== undefined && { maxBytes: options.maxBytes }),
  })
  const session = `${instanceId}:${systemId()}`
  const engine = new Engine({
    backend,
    clock,
    random: options.random ?? systemRandom,
    emitter,
    limits,
    workerId: instanceId,
    newId: systemId,
  })
  for (const [i, node] of (options.tasks ?? []).entries())
    engine.registry.learn(expressionOf(node, `connect: tasks[${i}]`))
  const stopLog = writeLogLines(emitter, options.logLevel ?? 'info', (line) => {
    process.stderr.write(`${line}\n`)
  })
  await backend.session({
    kind: 'open',
    session,
    // The store is this process: it cannot be lost to itself.
    ttlMs: Number.POSITIVE_INFINITY,
    info: {
      baseId: instanceId,
      hostname: hostname(),
      pid: process.pid,
      role: 'client',
      queues: 'all',
      capabilities: 'all',
      tasks: 'all',
      metadata: {},
    },
  })
  const client = new Client({
    backend,
    engine,
    emitter,
    session,
    instanceId,
    retentionMs: options.retentionMs ?? DEFAULT_RETENTION_MS,
    newId: systemId,
    onClose: [stopLog],
  })
  client.work(
    new WorkerLoop({
      backend,
      engine,
      clock,
      emitter,
      session,
      workerId: instanceId,
      maxConcurrentTasks: options.maxConcurrentTasks ?? DEFAULT_CONCURRENCY,
      queues: 'all',
      capabilities: 'all',
      newId: systemId,
      driveRun: (grant, k) => {
        client.driveSubmitted(grant, k)
      },
      onError: (error) => {
        emitter.emit('log', { level: 'error', message: `the embedded worker met ${String(error)}` })
      },
    }),
  )
  return client // its methods' types are the interface's: the class has them untyped
}

/** An address may hold a password: only what comes after it is shown. */
function shownAddress(address: unknown): string {
  if (typeof address !== 'string') return `a ${typeof address}`
  return JSON.stringify(address.replace(/\/\/[^@/]*@/, '//***@').slice(0, 200))
}
