/** systemd/: what systemd says of the units, and their command lines, run with their environment by a stand-in for systemd. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { each } from 'graflow'
import { Child, type Exit } from '../support/processes.js'
import { useStage, type Stage } from '../support/redis-stage.js'
import { itWith, ran } from '../support/tools.js'
import { compiled } from '../support/compiled.js'
import { held } from '../deployment/deployment.tasks.js'
import {
  expand,
  milliseconds,
  parseEnvironment,
  parseUnit,
  type Unit,
  valueOf,
  valuesOf,
} from '../deployment/unit-file.js'
import { EXPORTER_VARIABLES, SERVER_VARIABLES, WORKER_VARIABLES } from '../deployment/variables.js'

const project = join(__dirname, '../..')
const folder = join(project, 'systemd')
const files = readdirSync(folder).sort()
const units = files.filter((name) => /\.(service|target)$/.test(name))
const services = units.filter((name) => name.endsWith('.service'))
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
const unitOf = (name: string): Unit => parseUnit(read(name))
const WORKER = 'graflow-worker@.service'
const SERVER = 'graflow.service'
const DROP_IN = 'exporter-api-key.conf'
/** The longest that a stop takes beyond the graceful timeout: docs/options.md. */
const STOP_MS = 2_000

const itWithSystemd = itWith('systemd-analyze', 'apt-get install systemd')
const open = useStage()

describe('systemd/', () => {
  it('has a worker, an exporter, the control plane, a target that groups them, and their environments', () => {
    expect(files).toEqual([
      ...['exporter-api-key.conf', 'exporter.env', 'graflow-exporter.service', 'graflow-worker@.service'],
      ...['graflow.service', 'graflow.target', 'server.env', 'worker.env'],
    ])
    for (const name of services) {
      expect([name, valueOf(unitOf(name), 'PartOf'), valueOf(unitOf(name), 'WantedBy')]).toEqual([
        ...[name, 'graflow.target', 'graflow.target'],
      ])
    }
  })

  itWithSystemd('is what systemd takes, without a word', () => {
    const faults = units.flatMap((name) => {
      const { status, stderr } = ran('systemd-analyze', ['verify', '--man=no', join(folder, name)])
      return status === 0 && stderr === '' ? [] : [`${name}: ${status}: ${stderr}`]
    })
    expect(faults).toEqual([])
  })

  itWithSystemd('would be found out with a misspelt key, at which systemd-analyze ends with 0', () => {
    const other = mkdtempSync(join(tmpdir(), 'graflow-units-'))
    writeFileSync(join(other, WORKER), read(WORKER).replace('PrivateTmp=', 'PrivateTemp='))
    const { stderr } = ran('systemd-analyze', ['verify', '--man=no', join(other, WORKER)])
    rmSync(other, { recursive: true })
    expect(stderr).toMatch(/Unknown key (?:name )?'PrivateTemp'/)
  })

  itWithSystemd('has a drop-in for the exporter that systemd takes, and would find a fault in', () => {
    const other = mkdtempSync(join(tmpdir(), 'graflow-units-'))
    const name = 'graflow-exporter.service'
    mkdirSync(join(other, `${name}.d`))
    writeFileSync(join(other, name), read(name))
    const said = (dropIn: string): string => {
      writeFileSync(join(other, `${name}.d/api-key.conf`), dropIn)
      return ran('systemd-analyze', ['verify', '--man=no', join(other, name)]).stderr
    }
    const [right, wrong] = [said(read(DROP_IN)), said(read(DROP_IN).replace('LoadCredential=', 'LoadCredentials='))]
    rmSync(other, { recursive: true })
    expect(right).toBe('')
    expect(wrong).toMatch(/Unknown key (?:name )?'LoadCredentials'/)
  })

  it('keeps secrets out of what everybody may read: they come as credentials', () => {
    const environments = files.filter((name) => name.endsWith('.env')).map(read)
    expect(environments.join('').match(/^#?GRAFLOW_(?:REDIS_URL|API_KEY)\b.*/gm)).toBeNull()
    const secrets = [...services, DROP_IN].flatMap((name) =>
      [...read(name).matchAll(/^Environment=(GRAFLOW_(?:REDIS_URL|API_KEY)\w*=.*)$/gm)].map(([, text]) => text),
    )
    expect([...new Set(secrets)].sort()).toEqual([
      ...['GRAFLOW_API_KEY_FILE=%d/api-key', 'GRAFLOW_REDIS_URL_FILE=%d/redis-url'],
    ])
  })

  itWithSystemd('exposes little: a score of at most 2.0', () => {
    for (const name of services) {
      const args = ['security', '--offline=true', '--threshold=20', join(folder, name)]
      const { status, stdout } = ran('systemd-analyze', args)
      const score = Number(/exposure level for \S+: (\d+\.\d)/.exec(stdout)?.[1])
      expect([name, status, score <= 2]).toEqual([name, 0, true])
    }
  })

  it('hardens the exporter and the control plane as it hardens the worker', () => {
    const own = /^(Environment|EnvironmentFile|ExecStart|TimeoutStopSec|StateDirectory|StateDirectoryMode)$/
    const hardening = (name: string): Unit =>
      unitOf(name).filter(([section, key]) => section === 'Service' && !own.test(key))
    expect(hardening('graflow-exporter.service')).toEqual(hardening(WORKER))
    expect(hardening(SERVER)).toEqual(hardening(WORKER))
  })

  it('waits longer for a stop than a worker may take for it', () => {
    const { GRAFLOW_GRACEFUL_SHUTDOWN_TIMEOUT_MS: grace } = parseEnvironment(
      valuesOf(unitOf(WORKER), 'Environment').join('\n'),
    )
    expect(Number(grace)).toBeGreaterThan(0)
    expect(milliseconds(valueOf(unitOf(WORKER), 'TimeoutStopSec'))).toBeGreaterThan(Number(grace) + STOP_MS)
  })

  it.each([
    ['the worker', WORKER, 'worker.env', WORKER_VARIABLES],
    ['the exporter', 'graflow-exporter.service', 'exporter.env', EXPORTER_VARIABLES],
    ['the control plane', SERVER, 'server.env', SERVER_VARIABLES],
  ])('sets only variables that %s reads', (_, unit, environment, known) => {
    const dropIn = unit === 'graflow-exporter.service' ? read(DROP_IN) : ''
    const named = [...`${read(unit)}${dropIn}${read(environment)}`.matchAll(/^#?(?:Environment=)?(GRAFLOW_\w+)=/gm)]
    expect(named.length).toBeGreaterThan(4)
    expect(named.map(([, name = '']) => name).filter((name) => !known.has(name))).toEqual([])
  })
})

describe('the systemd part of docs/deployment.md', () => {
  const page = readFileSync(join(project, 'docs/deployment.md'), 'utf8')
  const part = /^## systemd\n([^]*?)^## /m.exec(page)?.[1] ?? ''
  /** Its commands: in one block each line, without what is written into files. */
  const commands = [...part.matchAll(/^```sh\n([^]*?)^```/gm)]
    .map(([, block = '']) => block.replace(/<<'END'\n[^]*?^END\n/gm, '\n').replace(/\\\n/g, ' '))
    .flatMap((block) =>
      block
        .replace(/\$\(([^()]*)\)/g, '; $1')
        .replace(/'[^']*'|"[^"]*"| #.*/g, '')
        .split('\n'),
    )
    .flatMap((line) => line.split(/&&|[|;(]/))
    .map((one) => one.trim().split(/[\s=]/)[0] ?? '')
    .filter((word) => word !== '' && word !== '#')
  /** What an empty Debian with systemd has, and the shell itself. */
  const had =
    'apt-get cat cd cp done do echo for GRAFLOW_METRICS_PORT install mkdir sleep systemctl journalctl umask'.split(' ')
  /** The packages that the other programs come with. */
  const packages: Readonly<Record<string, string>> = {
    ...{ node: 'nodejs', npm: 'npm', 'redis-cli': 'redis-server', curl: 'curl' },
  }

  it('installs the package of every program that it uses', () => {
    const installed = /apt-get install --yes (.*)$/m.exec(part)?.[1]?.split(' ') ?? []
    const used = [...new Set(commands)].filter((word) => !had.includes(word))
    expect(used.sort()).toEqual(Object.keys(packages).sort())
    expect(used.map((word) => packages[word]).filter((name = '') => !installed.includes(name))).toEqual([])
  })
})

/** A machine on which the worker is installed as people install it, in a folder of its own. */
class Machine {
  readonly #root = mkdtempSync(join(tmpdir(), 'graflow-machine-'))
  readonly #stage: Stage
  readonly #starts: Child[] = []

  constructor(stage: Stage) {
    this.#stage = stage
    for (const path of ['opt/graflow/node_modules', 'etc/graflow', 'credentials'])
      mkdirSync(join(this.#root, path), { recursive: true })
    symlinkSync(project, join(this.#root, 'opt/graflow/node_modules/graflow'))
    const tasks = compiled(join(__dirname, '../deployment/deployment.tasks.ts'))
    this.write('opt/graflow/tasks.js', `export * from ${JSON.stringify(tasks)}\n`)
    this.write('opt/graflow/package.json', '{ "type": "module" }')
    this.write('etc/graflow/worker.env', read('worker.env'))
    this.write('etc/graflow/worker-1.env', `GRAFLOW_KEY_PREFIX=${stage.prefix}\n`)
    this.write('etc/graflow/redis-url', `${stage.server.url}\n`)
    this.write('etc/graflow/exporter.env', `GRAFLOW_KEY_PREFIX=${stage.prefix}\nGRAFLOW_METRICS_PORT=0\n`)
  }

  write(path: string, text: string): void {
    writeFileSync(join(this.#root, path), text)
  }

  #path(path: string): string {
    return path.replace(/(?<![\w/])\/(opt|etc)\/graflow/g, `${this.#root}/$1/graflow`)
  }

  #specifiers(instance: string): Readonly<Record<string, string>> {
    return { i: instance, l: 'host', d: join(this.#root, 'credentials') }
  }

  /** Starts an instance of a unit once, as systemd does. */
  start(instance: string, file = WORKER, dropIn?: string): Child {
    const specifiers = this.#specifiers(instance)
    const unit = [...unitOf(file), ...(dropIn === undefined ? [] : unitOf(dropIn))]
    const get = (name: string): readonly string[] =>
      valuesOf(unit, name).map((value) => this.#path(expand(value, specifiers)))
    const files = get('EnvironmentFile').map((path) => {
      try {
        return readFileSync(path.replace(/^-/, ''), 'utf8')
      } catch (error) {
        if (path.startsWith('-')) return ''
        throw error
      }
    })
    for (const credential of get('LoadCredential')) {
      const [name = '', source = ''] = credential.split(':')
      this.write(join('credentials', name), readFileSync(source, 'utf8'))
    }
    const [command = '', ...args] = (get('ExecStart')[0] ?? '').split(' ')
    const child = new Child({
      name: file.replace('@', `@${instance}`),
      command: command === 'node' ? process.execPath : command,
      args,
      cwd: get('WorkingDirectory')[0] ?? '',
      env: { ...this.#stage.ledger.env, ...parseEnvironment([...get('Environment'), ...files].join('\n')) },
    })
    this.#starts.push(child)
    return child
  }

  /** Whether the unit has systemd start it again after such an end: Restart=on-failure and RestartPreventExitStatus. */
  restartsAfter({ code, signal }: Exit): boolean {
    expect(valueOf(unitOf(WORKER), 'Restart')).toBe('on-failure')
    if (signal !== null) return !['SIGHUP', 'SIGINT', 'SIGTERM', 'SIGPIPE'].includes(signal)
    return code !== 0 && !valueOf(unitOf(WORKER), 'RestartPreventExitStatus').split(' ').includes(String(code))
  }

  /** Starts an instance again and again, as long as the unit says so; each start that is ready is told. */
  async supervise(instance: string, onReady: (child: Child) => Promise<void>): Promise<Exit> {
    for (;;) {
      const child = this.start(instance)
      await child.said(/is ready/)
      const [exit] = await Promise.all([child.exited, onReady(child)])
      if (!this.restartsAfter(exit)) return exit
    }
  }

  remove(): void {
    rmSync(this.#root, { recursive: true })
  }
}

describe('a worker that is started as its unit says', () => {
  const machine = async (): Promise<{ stage: Stage; machine: Machine }> => {
    const stage = await open()
    const made = new Machine(stage)
    stage.onEnd(async () => made.remove())
    return { stage, machine: made }
  }

  it('is started again after kill -9 and not after SIGTERM, at which it finishes what it runs', async () => {
    const { stage, machine: here } = await machine()
    const client = await stage.client()
    const run = await client.start(each(held), ['a', 'b'])
    let starts = 0
    const last = await here.supervise('1', async (child) => {
      starts += 1
      await stage.ledger.until('start', 2 * starts)
      if (starts === 1) {
        child.signal('SIGKILL')
        return
      }
      child.signal('SIGTERM')
      await child.said(/worker host-1 is draining: 2 in flight, up to 75000 ms/)
      stage.ledger.open('go')
    })
    expect([starts, last.code]).toEqual([2, 0])
    expect(await run.result()).toEqual(['a', 'b'])
    expect(stage.ledger.notes('start').map(({ details }) => details['attempt'])).toEqual([1, 1, 2, 2])
  })

  it('is not started again when a setting is wrong', async () => {
    const { machine: here } = await machine()
    here.write('etc/graflow/worker-2.env', 'GRAFLOW_LOG_LEVEL=loud')
    const wrong = here.start('2')
    const exit = await wrong.closed
    expect(wrong.stderr).toContain('GRAFLOW_LOG_LEVEL')
    expect([exit.code, here.restartsAfter(exit)]).toEqual([2, false])
    expect(here.restartsAfter({ ...exit, code: 1 })).toBe(true)
  })

  const itWithCommand = existsSync(join(project, 'dist/bin/graflow.js')) ? it : it.skip
  itWithCommand('and an exporter, which answers for it who has its key, and ends at SIGTERM', async () => {
    const { machine: here } = await machine()
    here.write('etc/graflow/api-key', 'key-of-root-alone\n')
    const exporter = here.start('', 'graflow-exporter.service', DROP_IN)
    const [, port = ''] = await exporter.said(/ on http:\/\/0\.0\.0\.0:(\d+)/)
    const url = `http://127.0.0.1:${port}/api/v1/autoscale?queue=default,runs`
    expect((await fetch(url)).status).toBe(401)
    const answer = await fetch(url, { headers: { 'x-api-key': 'key-of-root-alone' } })
    expect(await answer.json()).toEqual({ queue: 'default,runs', depth: 0, backlog: 0, oldestSeconds: 0, workers: 0 })
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200)
    exporter.signal('SIGTERM')
    expect((await exporter.ends(5_000)).code).toBe(0)
  })

  itWithCommand(
    'and the control plane, which tells in its log where it is and never its keys, and ends at SIGTERM',
    async () => {
      const { machine: here, stage } = await machine()
      const secret = 'sentinel-9b2e41d7'
      const settings = ['GRAFLOW_HTTP_PORT=0', `GRAFLOW_KEY_PREFIX=${stage.prefix}`, `GRAFLOW_API_KEY=read:${secret}`]
      here.write('etc/graflow/server.env', `${settings.join('\n')}\n`)
      const server = here.start('', SERVER)
      const [, url = ''] = await server.said(/ on (http:\/\/127\.0\.0\.1:\d+\/)/)
      expect((await fetch(`${url}api/v1/queues`)).status).toBe(401)
      expect((await fetch(`${url}api/v1/queues`, { headers: { authorization: `Bearer ${secret}` } })).status).toBe(200)
      expect(
        (await fetch(`${url}api/v1/queues/x\u000a/pause`, { method: 'POST', headers: { 'x-api-key': 'wrong' } }))
          .status,
      ).toBe(401)
      const [title, command] = ['comm', 'cmdline'].map((name) => readFileSync(`/proc/${server.pid}/${name}`, 'utf8'))
      server.signal('SIGTERM')
      expect((await server.ends(10_000)).code).toBe(0)
      // FT-H13: each line is JSON, and none has a key
      const lines = server.stdout.trim().split('\n')
      expect(lines.map((line) => JSON.parse(line).level)).toContain('info')
      for (const text of [server.stdout, server.stderr, title, command]) expect(text).not.toContain(secret)
    },
  )
})
