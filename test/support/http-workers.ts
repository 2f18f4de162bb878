/** Control planes and workers in other languages as processes of a test. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Child } from './processes.js'
import { root } from './programs.js'
import type { Stage } from './redis-stage.js'

/** A control plane that listens. */
export interface ControlPlane {
  readonly child: Child
  readonly url: string
  readonly port: number
}

/** `graflow serve` on the stage's store. @param port a free one where it is left out */
export async function controlPlane(stage: Stage, port = 0): Promise<ControlPlane> {
  const program = join(root, 'dist/bin/graflow.js')
  const where = ['--redis-url', stage.server.url, '--redis-key-prefix', stage.prefix]
  const child = new Child({ name: 'graflow serve', args: [program, 'serve', ...where, '--port', String(port)] })
  const [, url = '', bound] = await child.said(/(http:\/\/127\.0\.0\.1:(\d+))\//)
  return { child, url, port: Number(bound) }
}

/** How long a worker may be silent that a test kills, and any other. */
export const SHORT_LEASE_MS = 2_000
const LEASE_MS = 30_000

/** The example in Python, once it has registered. */
export async function pythonWorker(
  id: string,
  servers: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Child> {
  const child = new Child({
    ...{ name: id, command: 'python3', args: ['-u', join(root, 'examples/workers/python/worker.py')] },
    env: { GRAFLOW_SERVER: servers.join(','), WORKER_ID: id, LEASE_MS: String(LEASE_MS), PACE: '0.6', ...env },
  })
  await child.said(/is ready/)
  return child
}

/** The example in shell, once it has registered: it runs `command` for each task. */
export async function shellWorker(
  id: string,
  server: string,
  task: string,
  command: string,
  leaseMs = LEASE_MS,
): Promise<Child> {
  const child = new Child({
    ...{ name: id, command: 'sh', args: [join(root, 'examples/workers/shell/worker.sh'), task, 'sh', '-c', command] },
    env: { GRAFLOW_SERVER: server, WORKER_ID: id, LEASE_MS: String(leaseMs) },
  })
  await child.said(/is ready/)
  return child
}

/** The blocks of a page whose info string is `info`, as one text. */
export const blocksOf = (page: string, info: string): string =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```(.*)\n([^]*?)^```$/gm)]
    .filter(([, found]) => found === info)
    .map(([, , code]) => code)
    .join('\n')
