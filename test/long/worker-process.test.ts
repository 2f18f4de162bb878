/** `graflow-worker` as people start it: the built command as a process, on a real Redis. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, each, par, policy, type Graflow, type GraflowError } from 'graflow'
import { Worker } from 'graflow/worker'
import { WORKER_ALIASES } from '../../bin/commands/options.js'
import { readSettings } from '../../bin/settings.js'
import { ERROR_CODES } from '../../lib/errors.js'
import { WORKER_OPTIONS } from '../../lib/options.js'
import { failureOf } from '../support/captured-errors.js'
import { compiled } from '../support/compiled.js'
import { Child, endChildren } from '../support/processes.js'
import { Ledger } from '../support/ledger.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { bombs, counted, double } from './process.tasks.js'

const program = join(__dirname, '../../dist/bin/graflow-worker.js')
const library = join(__dirname, '../../dist/lib/index.js')
const typescript = join(__dirname, 'process.tasks.ts')
/** The same, which a worker need not compile. */
const tasks = compiled(typescript)

let folder: string
const clients: Graflow[] = []
const inFolder = (): void => {
  folder = mkdtempSync(join(tmpdir(), 'graflow-process-'))
}
const endAll = async (): Promise<void> => {
  await endChildren()
  await Promise.all(clients.splice(0).map((client) => client.close()))
  rmSync(folder, { recursive: true })
}
/** Each test of a describe block in a folder of its own. */
const eachInFolder = (): void => {
  beforeEach(inFolder)
  afterEach(endAll)
}

const worker = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Child =>
  new Child({ name: 'worker', args: [program, ...args], env, cwd: folder })
const ready = async (child: Child): Promise<Child> => {
  await child.said(/is ready/)
  return child
}
const write = (name: string, text: string): void => {
  writeFileSync(join(folder, name), text)
}
const client = async (url: string, keyPrefix: string): Promise<Graflow> => {
  const opened = await connect(url, { keyPrefix, logLevel: 'silent' })
  clients.push(opened)
  return opened
}
const imports = `import { task } from ${JSON.stringify(library)}\n`

/** Takes connections and says nothing. */
async function silentServer(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer(() => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, port: (server.address() as AddressInfo).port }
}

/** With which code the command ends for an error of this code. */
const exitCodeOf = ({ code }: Pick<GraflowError, 'code'>): number => ERROR_CODES[code].exitCode

/** Task modules that are refused: what they are, their name, their text, and what is said of them. */
const REFUSED: readonly (readonly [string, string, string, string])[] = [
  ['one that is missing', 'taks.js', '', 'there is no file'],
  ['one that is nearly there', 'task.mjs', 'export const a = 1', '(did you mean "tasks.mjs"?)'],
  ['one that throws', 'tasks.mjs', 'throw new Error("on purpose")', 'it throws while it is loaded: on purpose'],
  ['one that does not parse', 'tasks.mjs', 'const a = {\n  b: 1,,\n}', '/tasks.mjs:2\n  b: 1,,\n       ^'],
  [
    'one that imports one that does not parse',
    'tasks.mjs',
    "import 'data:text/javascript,export const'",
    'in a module that it imports',
  ],
  ['one that throws such an error itself', 'tasks.mjs', "JSON.parse('{')", 'at JSON.parse'],
  ['one that exports nothing', 'tasks.mjs', 'const a = 1', 'it exports nothing'],
  [
    'one that exports a function',
    'tasks.mjs',
    'export const a = () => 1',
    "a function becomes a flow by task('name', fn)",
  ],
  [
    'one with two tasks of one name',
    'tasks.mjs',
    `${imports}export const [a, b] = [task('x', () => 1), task('x', () => 2)]`,
    'two different tasks are called "x"',
  ],
  ['a folder', '.', '', 'is no file: name the module in it'],
  ['data', 'tasks.json', '{}', 'expected a module (.js, .mjs'],
]

/** Starts a worker for each case, in one process: each in a folder of its own, in which the text stands. */
const REFUSALS = `
import { mkdirSync, writeFileSync } from 'node:fs'
import { Worker } from ${JSON.stringify(join(__dirname, '../../dist/worker/index.js'))}
for (const [at, [name, text]] of JSON.parse(process.argv[2]).entries()) {
  mkdirSync(String(at))
  process.chdir(String(at))
  writeFileSync('tasks.mjs', text)
  if (name.endsWith('.json')) writeFileSync(name, text)
  const error = await new Worker({ tasks: [name], redisUrl: 'redis://localhost:1', logLevel: 'silent' }).start().catch((e) => e)
  console.log(JSON.stringify({ code: error?.code, message: error?.message }))
  process.chdir('..')
}
process.exit(0)
`

describe('task modules', () => {
  eachInFolder()

  it('are refused, each with what is wrong with it', async () => {
    write('refusals.mjs', REFUSALS)
    const cases = JSON.stringify(REFUSED.map(([, name, text]) => [name, text]))
    const child = new Child({ name: 'refusals', args: ['refusals.mjs', cases], cwd: folder })
    expect((await child.closed).code).toBe(0)
    const errors = child.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as GraflowError)
    const found = REFUSED.map(([what], at) => {
      const error = errors[at]
      return [what, error && exitCodeOf(error), error?.message]
    })
    expect(found).toEqual(REFUSED.map(([what, , , says]) => [what, 2, expect.stringContaining(says)]))
  })

  it.each(REFUSED.filter(([what]) => /throws|of one name/.test(what)))(
    'are refused with exit code 2: %s',
    async (_what, name, text, says) => {
      write(name, text)
      const child = worker(['--tasks', name, '--redis-url', 'redis://localhost:1'])
      expect((await child.ends(10_000)).code).toBe(2)
      expect(child.output).toContain('graflow-worker: ')
      expect(child.output).toContain(says)
    },
  )

  it.each([
    ['and nothing that keeps the process', ''],
    ['and a timer', 'setInterval(() => undefined, 1_000)'],
  ])('whose top-level await never ends are refused after moduleTimeoutMs, with exit code 2: %s', async (_, more) => {
    write('hangs.mjs', `${imports}export const a = task('a', (x) => x)\n${more}\nawait new Promise(() => undefined)`)
    const child = worker(['--tasks', 'hangs.mjs', '--module-timeout-ms', '300', '--redis-url', 'redis://localhost:1'])
    expect((await child.ends(10_000)).code).toBe(2)
    expect(child.output).toMatch(/task module .*hangs\.mjs: it was not loaded within 300 ms: a top-level await/)
  })

  it.each([
    ['loads', 'redis://localhost:1'],
    ['connects', ''],
  ])('do not keep a worker that is told to stop while it %s', async (what, address) => {
    const { server: silent, port } = await silentServer()
    const reached = once(silent, 'connection')
    try {
      const wait = what === 'loads' ? 'await new Promise(() => undefined)' : ''
      const text = `${imports}export const a = task('a', (x) => x)\nconsole.log('it loads')\n${wait}`
      write('slow.mjs', `${text}\nsetInterval(() => undefined, 1_000)`)
      const url = address === '' ? `redis://127.0.0.1:${port}` : address
      const child = worker(['--tasks', 'slow.mjs', '--redis-url', url])
      await child.said(/it loads/)
      if (what === 'connects') await reached
      const toldAt = performance.now()
      child.signal('SIGTERM')
      const { code, at } = await child.ends(5_000)
      expect(code).toBe(0)
      expect(at - toldAt).toBeLessThan(1_000)
    } finally {
      silent.close()
    }
  })
})

/** Task modules of every kind, and one that has a policy only. */
function writeModules(): readonly string[] {
  const text: Readonly<Record<string, string>> = {
    'esm.mjs': `${imports}export const esm = task('esm', (n) => n + 1)\nexport const data = 1`,
    'common.cjs': `const { task } = require(${JSON.stringify(library)})\nexports.common = task('common', (n) => n - 1)`,
    'default.js': `module.exports = { inner: require(${JSON.stringify(library)}).task('by-default', (n) => n) }`,
    'esm/named.js': `${imports}export const named = task('named', (n) => n)`,
    'typed.mts': `${imports}enum Step { One = 1 }\nexport const mts = task('mts', (n: number): number => n + Step.One)`,
    'typed.cts': `${imports}import { Step } from './helper.cjs'\nexport const cts = task('cts', (n: number): number => n + Step.One)`,
    'required.cts': `module.exports = { r: require(${JSON.stringify(library)}).task('required', (n: number) => n) }`,
    'only.cts': `${imports}export default task('only', (n: number) => n)`,
    'policies.mjs': `import { policy } from ${JSON.stringify(library)}\nexport const most = policy('most', (all) => all.length + ' outcomes')`,
  }
  mkdirSync(join(folder, 'esm'))
  write('esm/package.json', '{ "type": "module" }')
  write('helper.cts', 'export enum Step { One = 1 }')
  for (const [name, module] of Object.entries(text)) write(name, module)
  return Object.keys(text)
}

// one worker for all of it, which the last test tells to end
describe('a worker', () => {
  const ledger = new Ledger()
  const prefix = freshPrefix()
  let child: Child
  let graflow: Graflow
  beforeAll(async () => {
    inFolder()
    const { url, port } = await sharedRedis()
    const modules = [...writeModules(), typescript].flatMap((path) => ['--tasks', path])
    const address = ['--redis-url', `redis://:geheim@127.0.0.1:${port}`, '--key-prefix', prefix]
    child = worker([...modules, ...address, '--metrics-port', '0', '--worker-id', 'h'], ledger.env)
    await ready(child)
    graflow = await client(url, prefix)
  })
  afterAll(async () => {
    await endAll()
    ledger.remove()
  })

  it('takes task modules that are JavaScript of either kind and TypeScript; tasks behind a workflow are known, too', async () => {
    expect(child.output).toContain('tasks esm, common, by-default, named, mts, cts, required, only, ')
    expect(child.output).toContain('hidden')
    const run = await graflow.submit(counted, [1, 2, 3])
    expect(await run.result()).toBe(3)
  })

  it('takes a module that exports a join policy alone, which is found by its name', async () => {
    const run = await graflow.submit(par(double, double).join(policy('most', () => 'not here')), 1)
    expect(await run.result()).toBe('2 outcomes')
  })

  it('logs JSON, one object a line, when nobody looks', () => {
    const [line = ''] = child.output.split('\n')
    expect(JSON.parse(line)).toMatchObject({ level: 'info', workerId: 'h', pid: child.pid })
  })

  it('serves its health on the port that the log names; it turns unready while draining', async () => {
    const [, port = ''] = await child.said(/metrics on http:\/\/0\.0\.0\.0:(\d+)/)
    const get = async (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
    expect((await get('/readyz')).status).toBe(200)
    const metric = 'graflow_tasks_total{task="double",outcome="succeeded"}'
    const doubled = async (): Promise<number> => {
      const line = (await (await get('/metrics')).text()).split('\n').find((one) => one.startsWith(metric))
      return Number(line?.slice(metric.length) ?? 0)
    }
    const before = await doubled()
    expect(await graflow.run(each(double), [1, 2, 3])).toEqual([2, 4, 6])
    expect(await doubled()).toBe(before + 3)
    expect(await (await get('/metrics')).text()).toContain(
      `graflow_queue_depth{key_prefix="${prefix}",queue="default"} 0`,
    )
    const run = await graflow.start(each(bombs), [1])
    await ledger.until('start')
    child.signal('SIGTERM')
    await child.said(/draining/)
    expect((await get('/readyz')).status).toBe(503)
    expect((await get('/livez')).status).toBe(200)
    ledger.open('others')
    expect(await run.result()).toEqual([1])
    expect((await child.ends(5_000)).code).toBe(0)
  })

  it('was given a password that Redis does not ask for, and says nothing of it, nor does the thread that renews its session', async () => {
    child.signal('SIGTERM')
    expect((await child.closed).code).toBe(0)
    const lines = child.output.trim().split('\n')
    expect(lines.filter((line) => !line.startsWith('{'))).toEqual([])
    expect(child.output).not.toMatch(/password|geheim/)
  })
})

describe('settings', () => {
  eachInFolder()

  it('come from the seeds’ environment', async () => {
    const { port } = await sharedRedis()
    const prefix = freshPrefix()
    const env = {
      ...{ REDIS_HOST: '127.0.0.1', REDIS_PORT: String(port), REDIS_DB: '0', REDIS_KEY_PREFIX: prefix },
      ...{ WORKER_ID: 'from-env', MAX_CONCURRENT_TASKS: '3', LOG_LEVEL: 'info' },
    }
    const child = await ready(worker(['--tasks', tasks], env))
    expect(child.output).toContain('worker from-env is ready: 3 at once')
    const graflow = await client(`redis://127.0.0.1:${port}`, prefix)
    expect(await graflow.run(each(double), [1, 2])).toEqual([2, 4])
  })

  it('come from a file, where nothing else says more; the log is text when asked for', async () => {
    const { url } = await sharedRedis()
    write(
      'graflow.config.json',
      JSON.stringify({ redisUrl: url, tasks: [tasks], worker: { workerId: 'f', maxConcurrentTasks: 7 } }),
    )
    const flags = ['--worker-id', 'flag', '--redis-key-prefix', freshPrefix(), '--log-format', 'text']
    const child = await ready(worker(flags))
    expect(child.output).toMatch(/^\d{4}-\d\d-\d\dT\S+ info {2}worker flag is ready: 7 at once/m)
  })

  const wrong: readonly (readonly [string, readonly string[], string])[] = [
    ['an unknown flag', ['--tassk', 'x'], 'unknown flag --tassk (did you mean "--tasks"?)'],
    ['a bad value', ['--max-concurrent-tasks', '0'], 'from 1 to 100000 (branches), got 0'],
    ['a bad address', ['--redis-url', 'localhost'], '--redis-url: expected an address: redis://host:6379'],
    ['a bad prefix', ['--redis-key-prefix', '{x}'], '--redis-key-prefix: expected a text that matches'],
    ['no tasks', [], 'expected at least one task module'],
    ['a bad queue', ['--tasks', tasks, '--queue', 'a b'], 'got "a b"'],
  ]

  it('that are wrong are refused in one line', async () => {
    const command = { name: 'graflow-worker', summary: '', section: 'worker', version: '', aliases: WORKER_ALIASES }
    const start = async (argv: readonly string[]): Promise<void> => {
      const { options = {} } = await readSettings({ ...command, table: WORKER_OPTIONS }, { argv, env: {}, folder })
      await new Worker(options).start()
    }
    for (const [, argv, says] of wrong) {
      const error = await failureOf(start(argv))
      expect([exitCodeOf(error), error.message]).toEqual([2, expect.stringContaining(says)])
      expect(error.message).not.toContain('\n')
    }
  })

  it.each(wrong.filter(([what]) => /unknown flag|no tasks/.test(what)))(
    'that are wrong end it with exit code 2: %s',
    async (_what, args, says) => {
      const child = worker(args)
      expect((await child.ends(10_000)).code).toBe(2)
      expect(child.output).toContain(says)
      expect(child.output.trim().split('\n')).toHaveLength(1)
    },
  )
})

describe('a metrics port', () => {
  eachInFolder()

  it('that is in use ends it with exit code 2, saying which address, and what to do', async () => {
    const { server, port } = await silentServer()
    try {
      const args = ['--tasks', tasks, '--metrics-host', '127.0.0.1', '--metrics-port', String(port)]
      const child = worker(args)
      expect((await child.ends(10_000)).code).toBe(2)
      expect(child.output.trim()).toBe(
        `graflow-worker: worker: metricsPort: expected a free port, but another process listens on 127.0.0.1:${port} ` +
          '(another worker of this machine?): give each its own, or 0 for any free one',
      )
    } finally {
      server.close()
    }
  })

  it('on an address that is not this machine’s is refused, too', async () => {
    const options = { metricsHost: '192.0.2.1', metricsPort: 0, logLevel: 'silent' } as const
    const error = await failureOf(new Worker({ ...options, tasks: [double] }).start())
    expect(exitCodeOf(error)).toBe(2)
    expect(error.message).toContain('metricsHost: expected an address of this machine, such as 127.0.0.1 or 0.0.0.0')
  })
})

describe('without Redis', () => {
  eachInFolder()

  it('it ends with exit code 1 within 5 s, naming the address without its password; so it does where nothing answers', async () => {
    const { server, port } = await silentServer()
    // how long a process takes to start on this machine, as busy as it is
    const beforeStart = performance.now()
    await worker(['--version']).ends(10_000)
    const withinMs = 5_000 + 3 * (performance.now() - beforeStart)
    const startedAt = performance.now()
    const unanswered = new Worker({ redisHost: '127.0.0.1', redisPort: port, tasks: [double], logLevel: 'silent' })
    const refused = failureOf(unanswered.start()).then((error) => [exitCodeOf(error), performance.now()] as const)
    try {
      const child = worker(['--tasks', tasks, '--redis-url', 'redis://user:geheim@127.0.0.1:1'])
      const { code, at } = await child.ends(withinMs + 10_000)
      expect(code).toBe(1)
      expect(at - startedAt).toBeLessThan(withinMs)
      expect(child.output).toContain('127.0.0.1:1')
      expect(child.output).not.toContain('geheim')
      expect(child.output.trim().split('\n')).toHaveLength(1)
      const [exitCode, refusedAt] = await refused
      expect(exitCode).toBe(1)
      expect(refusedAt - startedAt).toBeLessThan(withinMs)
    } finally {
      server.close()
    }
  })
})

describe('an exception that no task caught', () => {
  eachInFolder()

  it('FT-W19: ends the process with exit code 1; others finish its work, what it had not started with its first attempt', async () => {
    const { url } = await sharedRedis()
    const prefix = freshPrefix()
    const ledger = new Ledger()
    Object.assign(process.env, ledger.env)
    const other = new Worker({ redisUrl: url, keyPrefix: prefix, tasks: [bombs], logLevel: 'silent' })
    try {
      const args = ['--tasks', tasks, '--redis-url', url, '--redis-key-prefix', prefix, '--max-concurrent-tasks', '2']
      const child = await ready(worker(args, ledger.env))
      const graflow = await client(url, prefix)
      const run = await graflow.start(each(bombs), [0, 1, 2])
      await ledger.until('start', 2)
      ledger.open('bomb')
      expect((await child.ends(5_000)).code).toBe(1)
      const lines = child.output.trim().split('\n')
      const last = lines.map((line) => JSON.parse(line)).find(({ level }) => level === 'error')
      expect(last).toMatchObject({
        pid: child.pid,
        err: { type: 'Error', stack: expect.stringContaining('thrown in a timer') },
      })
      expect(last.msg).toMatch(
        /^graflow-worker: an exception that no task caught: thrown in a timer; the process ends: /,
      )
      ledger.open('others')
      await other.start()
      expect(await run.result()).toEqual([0, 1, 2])
      const attempts = ledger.notes('start').map(({ details }) => [details['n'], details['attempt']])
      expect(attempts.sort()).toEqual([
        [0, 1],
        [0, 2],
        [1, 1],
        [1, 2],
        [2, 1],
      ])
    } finally {
      await other.stop()
      ledger.remove()
    }
  })
})
