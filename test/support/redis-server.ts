/**
 * A private redis-server (or valkey-server): a port and a unix socket of its own, a folder of its own, nothing written to disk unless
 * asked for. It ends with whoever started it, also after kill -9: a shell waits for the end of its own input, then ends the server and
 * removes the folder. Used by tests and benchmarks; knows nothing of either.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freeze } from './freeze.js'
import { within } from './waits.js'

/** What survives a restart: nothing; what was written up to a second before; every acknowledged write. */
export type Persistence = 'none' | 'everysec' | 'always'

export interface RedisServerOptions {
  readonly persistence?: Persistence
  /** Of the user `default`. */
  readonly password?: string
  /** Also listens for TLS, with a certificate for 127.0.0.1 and localhost that `caFile` vouches for. */
  readonly tls?: boolean
  /** Further directives, as in redis.conf; they win. */
  readonly config?: Readonly<Record<string, string>>
}

/** Says the server's pid, leaves the output to it, waits; `keep` leaves the folder for a restart. */
const KEEPER = `
dir=$1; shift
"$@" </dev/null 2>&1 & server=$!
echo "pid $server"
exec >/dev/null
read -r word
kill "$server" 2>/dev/null
wait "$server" 2>/dev/null
[ "$word" = keep ] || rm -rf "$dir"
`
const READY_MS = 10_000
/** Below the ports that a system gives to outgoing connections: none of those can take the port while the server is away. */
const PORTS = { from: 20_000, count: 12_000 }
const SHOWN_LINES = 20

export class RedisServer {
  /** Its files: the socket, the append-only file, certificates. */
  readonly folder: string
  /** Path of the unix socket. */
  readonly socket: string
  readonly port: number
  /** Undefined unless it was started with `tls`. */
  readonly tlsPort: number | undefined
  readonly #options: RedisServerOptions
  readonly #config: Readonly<Record<string, string>>
  #keeper: ChildProcess | undefined
  #pid = 0

  private constructor(folder: string, port: number, tlsPort: number | undefined, options: RedisServerOptions) {
    this.folder = folder
    this.socket = join(folder, 'redis.sock')
    this.port = port
    this.tlsPort = tlsPort
    this.#options = options
    const { persistence = 'none', password } = options
    this.#config = {
      bind: '127.0.0.1',
      port: String(port),
      unixsocket: this.socket,
      dir: folder,
      save: '',
      appendonly: persistence === 'none' ? 'no' : 'yes',
      appendfsync: persistence === 'always' ? 'always' : 'everysec',
      'maxmemory-policy': 'noeviction',
      'enable-debug-command': 'local',
      ...(password !== undefined && { requirepass: password }),
      ...(tlsPort !== undefined && {
        'tls-port': String(tlsPort),
        'tls-cert-file': join(folder, 'redis.crt'),
        'tls-key-file': join(folder, 'redis.key'),
        'tls-ca-cert-file': join(folder, 'redis.crt'),
        'tls-auth-clients': 'no',
      }),
      ...options.config,
    }
  }

  /**
   * Starts a server that answers when this resolves.
   * @throws Error that says what to install, or what the server said when it did not start
   */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    server() // without one, leave no folder behind
    const folder = mkdtempSync(join(tmpdir(), 'graflow-redis-'))
    try {
      if (options.tls === true) makeCertificate(folder)
      for (let attempt = 0; ; attempt++) {
        const tlsPort = options.tls === true ? await freePort() : undefined
        const server = new RedisServer(folder, await freePort(), tlsPort, options)
        try {
          await server.#start()
          return server
        } catch (error) {
          // Somebody may have taken the port between our look and the server's bind.
          if (attempt === 2 || !String(error).includes('in use')) throw error
        }
      }
    } catch (error) {
      rmSync(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** As `connect` takes it, password included. */
  get url(): string {
    return `redis://${this.#login}127.0.0.1:${this.port}`
  }

  /** The unix socket, as `connect` takes it. */
  get unixUrl(): string {
    return `unix://${this.#login}${this.socket}`
  }

  /** Of a server that was started with `tls`. */
  get tlsUrl(): string {
    if (this.tlsPort === undefined) throw new Error('expected a server started with tls: true')
    return `rediss://${this.#login}127.0.0.1:${this.tlsPort}`
  }

  /** The certificate that clients have to trust. */
  get caFile(): string {
    return join(this.folder, 'redis.crt')
  }

  /** Of the server that runs now. */
  get pid(): number {
    return this.#pid
  }

  /** Ends the server as a crash would; resolves when it is gone. Its files stay for `restart`. */
  async kill9(): Promise<void> {
    process.kill(this.#pid, 'SIGKILL')
    await this.#end('keep')
  }

  /** Starts it again, on the same ports and files; ends it first, in an orderly way, if it runs. */
  async restart(): Promise<void> {
    await this.#end('keep')
    await this.#start()
  }

  /** Holds the process where it is: connections stay open, nothing is answered. */
  freeze(): Promise<void> {
    return freeze(this.#pid)
  }

  thaw(): void {
    process.kill(this.#pid, 'SIGCONT')
  }

  /** Ends the server and removes its folder. Safe to repeat. */
  async stop(): Promise<void> {
    if (this.#keeper !== undefined) process.kill(this.#pid, 'SIGCONT')
    await this.#end('')
    rmSync(this.folder, { recursive: true, force: true })
  }

  get #login(): string {
    const { password } = this.#options
    return password === undefined ? '' : `:${encodeURIComponent(password)}@`
  }

  async #start(): Promise<void> {
    const args = Object.entries(this.#config).flatMap(([name, value]) => [`--${name}`, value])
    const keeper = spawn('sh', ['-c', KEEPER, 'sh', this.folder, server().name, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true, // so that Ctrl-C reaches us only, and the shell cleans up after us
    })
    this.#keeper = keeper
    const said: string[] = []
    try {
      const isReady = async (): Promise<void> => {
        for await (const line of createInterface({ input: keeper.stdout })) {
          if (line.startsWith('pid ')) this.#pid = Number(line.slice(4))
          said.push(line)
          if (/ready to accept connections/i.test(line)) return ping(this.socket)
        }
        throw new Error('it ended')
      }
      await within(READY_MS, isReady(), 'its answer')
    } catch (error) {
      await this.#end('keep')
      throw new Error(`${server().name} did not start: ${said.slice(-SHOWN_LINES).join('\n')}`, { cause: error })
    }
    keeper.stdout.resume()
  }

  async #end(word: 'keep' | ''): Promise<void> {
    const keeper = this.#keeper
    this.#keeper = undefined
    if (keeper === undefined || keeper.exitCode !== null || keeper.signalCode !== null) return
    const ended = once(keeper, 'exit')
    keeper.stdin?.on('error', () => undefined) // it ended by itself meanwhile
    keeper.stdin?.end(`${word}\n`)
    await ended
  }
}

const OLDEST_MAJOR = 7

interface Program {
  readonly name: string
  readonly version: string
}

/** Undefined where it is not on PATH. */
function programOf(name: string): Program | undefined {
  const { stdout, error } = spawnSync(name, ['--version'], { encoding: 'utf8' })
  const version = error === undefined ? /v=(\d+\.\S+)/.exec(stdout)?.[1] : undefined
  return version === undefined ? undefined : { name, version }
}

let chosen: Program | undefined

/** The first of those that are new enough, in order of preference. */
function server(): Program {
  if (chosen !== undefined) return chosen
  const old: Program[] = []
  for (const name of ['redis-server', 'valkey-server']) {
    const program = programOf(name)
    if (program === undefined) continue
    if (Number.parseInt(program.version) >= OLDEST_MAJOR) return (chosen = program)
    old.push(program)
  }
  const got = old.map(({ name, version }) => `${name} ${version}`).join(', ')
  throw new Error(
    `expected redis-server or valkey-server ${OLDEST_MAJOR}.0 or newer on PATH, got ${got === '' ? 'none' : got}; ` +
      'install it (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)',
  )
}

/**
 * Version of the server on PATH that is used, as `7.0.15`.
 * @throws Error that says what to install when there is none, or one that is too old
 */
export const redisVersion = (): string => server().version

/** A free loopback port that no outgoing connection gets. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * PORTS.count)
    const probe = createServer().listen(port, '127.0.0.1')
    const isFree = await Promise.race([
      once(probe, 'listening').then(() => true),
      once(probe, 'error').then(() => false),
    ]).catch(() => false)
    if (!isFree) continue
    probe.close()
    await once(probe, 'close')
    return port
  }
}

/** Resolves when the server has answered something to a PING, be it that it wants a password. */
async function ping(socket: string): Promise<void> {
  const connection = connect(socket)
  try {
    connection.write('PING\r\n')
    await once(connection, 'data')
  } finally {
    connection.destroy()
  }
}

/** A certificate that vouches for itself. */
function makeCertificate(folder: string): void {
  const { status, stderr, error } = spawnSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
      ...['-keyout', join(folder, 'redis.key'), '-out', join(folder, 'redis.crt')],
    ],
    { encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`openssl made no certificate: ${error?.message ?? stderr}`)
}
