/**
 * A private redis-server on a unix socket in a folder of its own. It ends with whoever started it, also after kill -9: a shell waits
 * for the end of its own input, then ends the server and removes the folder.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export type Persistence = 'none' | 'everysec'

const KEEPER = `
dir=$1; shift
redis-server "$@" </dev/null & server=$!
read -r _
kill "$server" 2>/dev/null
wait "$server"
rm -rf "$dir"
`

export class RedisServer {
  readonly socket: string
  readonly #keeper: ChildProcess
  readonly #folder: string

  private constructor(folder: string, keeper: ChildProcess) {
    this.#folder = folder
    this.socket = join(folder, 'redis.sock')
    this.#keeper = keeper
  }

  /** Starts a server that accepts connections when this returns. Says what to install where there is none. */
  static async start(persistence: Persistence): Promise<RedisServer> {
    redisVersion()
    const folder = mkdtempSync(join(tmpdir(), 'graflow-layout-'))
    const options = {
      port: '0',
      unixsocket: join(folder, 'redis.sock'),
      dir: folder,
      save: '',
      appendonly: persistence === 'everysec' ? 'yes' : 'no',
      appendfsync: 'everysec',
      'maxmemory-policy': 'noeviction',
      'enable-debug-command': 'local',
    }
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
    const keeper = spawn('sh', ['-c', KEEPER, 'sh', folder, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true, // so that Ctrl-C reaches us only, and the shell cleans up after us
    })
    const server = new RedisServer(folder, keeper)
    const said: string[] = []
    for await (const line of createInterface({ input: keeper.stdout })) {
      if (line.includes('ready to accept connections')) {
        keeper.stdout.resume()
        return server
      }
      said.push(line)
    }
    await server.stop()
    throw new Error(`redis-server did not start:\n${said.join('\n')}`)
  }

  async stop(): Promise<void> {
    const { exitCode, signalCode } = this.#keeper
    if (exitCode === null && signalCode === null) {
      const ended = once(this.#keeper, 'exit')
      this.#keeper.stdin?.end()
      await ended
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Of the redis-server on PATH. */
export function redisVersion(): string {
  const { stdout, error } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' })
  const version = /v=(\d+)(\.\S+)/.exec(error === undefined ? stdout : '')
  if (version === null || Number(version[1]) < 7) {
    throw new Error(
      `expected redis-server 7.0 or newer on PATH, got ${version === null ? 'none' : version[0]}; ` +
        'install it (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)',
    )
  }
  return `${version[1] ?? ''}${version[2] ?? ''}`
}
