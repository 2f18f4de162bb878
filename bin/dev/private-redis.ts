/**
 * A Redis for `graflow dev` alone: on a unix socket in a folder that only this user may enter, nothing on disk. It ends with the process that
 * started it, also after kill -9: a shell waits for the end of its own input, then ends the server and removes the folder.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { GraflowError } from '../../lib/errors.js'
import { systemClock, withDeadline } from '../../lib/time.js'

/** A redis-server or a valkey-server on PATH. */
export interface ServerProgram {
  readonly name: string
  readonly path: string
  readonly version: string
}

export const HOW_TO_INSTALL = 'Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis'
const OLDEST_MAJOR = 7
const START_MS = 10_000

const KEEPER = `
folder=$1; shift
"$@" </dev/null & server=$!
read -r _
kill "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$folder"
`

/** The first server on PATH that can be used; undefined when there is none. */
export function findServer(path: string): ServerProgram | undefined {
  for (const folder of path.split(delimiter)) {
    for (const name of ['valkey-server', 'redis-server']) {
      const file = join(folder, name)
      if (!isExecutable(file)) continue
      const { stdout, error } = spawnSync(file, ['--version'], { encoding: 'utf8' })
      const version = error === undefined ? /v=(\d+\.\S+)/.exec(stdout)?.[1] : undefined
      if (version !== undefined && Number.parseInt(version) >= OLDEST_MAJOR) return { name, path: file, version }
    }
  }
  return undefined
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** A server that answers; `stop` it. */
export interface PrivateRedis {
  readonly url: string
  stop(): Promise<void>
}

/** @throws GraflowError REDIS_UNAVAILABLE with what the server said when it does not start */
export async function startPrivateRedis(server: ServerProgram): Promise<PrivateRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'graflow-dev-'))
  const socket = join(folder, 'redis.sock')
  const options = {
    port: '0',
    unixsocket: socket,
    dir: folder,
    save: '',
    appendonly: 'no',
    'maxmemory-policy': 'noeviction',
  }
  const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
  const keeper = spawn('sh', ['-c', KEEPER, 'sh', folder, server.path, ...words], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true, // Ctrl-C reaches only this process, which then stops the others in order
  })
  const redis = { url: `unix://${socket}`, stop: () => stop(keeper, folder) }
  const said: string[] = []
  try {
    await withDeadline(systemClock, START_MS, ready(keeper, said), () => {
      throw new Error('it did not answer in time')
    })
  } catch (error) {
    await redis.stop()
    const last = said.slice(-5).join('\n')
    throw new GraflowError('REDIS_UNAVAILABLE', `${server.path} does not start: ${last}`, { cause: error })
  }
  keeper.stdout.resume()
  return redis
}

async function ready(keeper: ChildProcess, said: string[]): Promise<void> {
  if (keeper.stdout === null) throw new Error('expected a pipe from the server')
  for await (const line of createInterface({ input: keeper.stdout })) {
    said.push(line)
    if (/ready to accept connections/i.test(line)) return
  }
  throw new Error('it ended')
}

async function stop(keeper: ChildProcess, folder: string): Promise<void> {
  if (keeper.exitCode === null && keeper.signalCode === null) {
    const ended = once(keeper, 'exit')
    keeper.stdin?.on('error', () => undefined) // it has ended by itself meanwhile
    keeper.stdin?.end('\n')
    await ended
  }
  rmSync(folder, { recursive: true, force: true })
}
