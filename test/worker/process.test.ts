/** `graflow-worker` as people start it: the built command as a process, on a real Redis. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, each, par, policy, type Graflow } from 'graflow'
import { Child, endChildren } from '../support/processes.js'
import { Ledger } from '../support/ledger.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { bombs, counted, double } from './process.tasks.js'

const program = join(__dirname, '../../dist/bin/graflow-worker.js')
const library = join(__dirname, '../../dist/lib/index.js')
const tasks = join(__dirname, 'process.tasks.ts')

let folder: string
const clients: Graflow[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'graflow-process-'))
})
afterEach(async () => {
  await endChildren()
  await Promise.all(clients.splice(0).map((client) => client.close()))
  rmSync(folder, { recursive: true })
})

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

describe('task modules', () => {
  it.each<[string, string, string, string]>([
    ['one that is missing', 'taks.js', '', 'there is no file'],
    ['one that is nearly there', 'task.mjs', 'export const a = 1', '(did you mean "tasks.mjs"?)'],
    ['one that throws', 'tasks.mjs', 'throw new Error("on purpose")', 'it throws while it is loaded: on purpose'],
    ['one that does not parse', 'tasks.mjs', 'export const', 'it throws while it is loaded'],
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
  ])('are refused with exit code 2: %s', async (_what, name, text, says) => {
    write('tasks.mjs', text)
    if (name.endsWith('.json')) write(name, text)
    const child = worker(['--tasks', name, '--redis-url', 'redis://localhost:1'])
    expect((await child.ends(10_000)).code).toBe(2)
    expect(child.output).toContain('graflow-worker: ')
    expect(child.output).toContain(says)
  })

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
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const reached = once(silent, 'connection')
    try {
      const wait = what === 'loads' ? 'await new Promise(() => undefined)' : ''
      const text = `${imports}export const a = task('a', (x) => x)\nconsole.log('it loads')\n${wait}`
      write('slow.mjs', `${text}\nsetInterval(() => undefined, 1_000)`)
      const url = address === '' ? `redis://127.0.0.1:${(silent.address() as AddressInfo).port}` : address
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

  it('may export a join policy alone, which is found by its name', async () => {
    const { url } = await sharedRedis()
    const prefix = freshPrefix()
    const policies = `import { policy } from ${JSON.stringify(library)}\n`
    write('policies.mjs', `${policies}export const most = policy('most', (all) => all.length + ' outcomes')`)
    await ready(worker(['--tasks', tasks, '--tasks', 'policies.mjs', '--redis-url', url, '--key-prefix', prefix]))
    const graflow = await client(url, prefix)
    const run = await graflow.submit(par(double, double).join(policy('most', () => 'not here')), 1)
    expect(await run.result()).toBe('2 outcomes')
  })

  it('are JavaScript of either kind and TypeScript; tasks behind a workflow are known, too', async () => {
    const { url } = await sharedRedis()
    const prefix = freshPrefix()
    write('esm.mjs', `${imports}export const esm = task('esm', (n) => n + 1)\nexport const data = 1`)
    write(
      'common.cjs',
      `const { task } = require(${JSON.stringify(library)})\nexports.common = task('common', (n) => n - 1)`,
    )
    write('default.js', `module.exports = { inner: require(${JSON.stringify(library)}).task('by-default', (n) => n) }`)
    mkdirSync(join(folder, 'esm'))
    write('esm/package.json', '{ "type": "module" }')
    write('esm/named.js', `${imports}export const named = task('named', (n) => n)`)
    const typed = '(n: number): number => n + Step.One'
    write('typed.mts', `${imports}enum Step { One = 1 }\nexport const mts = task('mts', ${typed})`)
    write('helper.cts', 'export enum Step { One = 1 }')
    write('typed.cts', `${imports}import { Step } from './helper.cjs'\nexport const cts = task('cts', ${typed})`)
    write(
      'required.cts',
      `module.exports = { r: require(${JSON.stringify(library)}).task('required', (n: number) => n) }`,
    )
    write('only.cts', `${imports}export default task('only', (n: number) => n)`)
    const written = [
      'esm.mjs',
      'common.cjs',
      'default.js',
      'esm/named.js',
      'typed.mts',
      'typed.cts',
      'required.cts',
      'only.cts',
    ]
    const modules = [...written, tasks].flatMap((path) => ['--tasks', path])
    const child = await ready(worker([...modules, '--redis-url', url, '--redis-key-prefix', prefix]))
    expect(child.output).toContain('tasks esm, common, by-default, named, mts, cts, required, only, ')
    expect(child.output).toContain('hidden')
    const graflow = await client(url, prefix)
    const run = await graflow.submit(counted, [1, 2, 3])
    expect(await run.result()).toBe(3)
  })
})

describe('settings', () => {
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

  it('come from a file, where nothing else says more', async () => {
    const { url } = await sharedRedis()
    write(
      'graflow.config.json',
      JSON.stringify({ redisUrl: url, tasks: [tasks], worker: { workerId: 'f', maxConcurrentTasks: 7 } }),
    )
    const child = await ready(worker(['--worker-id', 'flag', '--redis-key-prefix', freshPrefix()]))
    expect(child.output).toContain('worker flag is ready: 7 at once')
  })

  it.each<[string, readonly string[], string]>([
    ['an unknown flag', ['--tassk', 'x'], 'unknown flag --tassk (did you mean "--tasks"?)'],
    ['a bad value', ['--max-concurrent-tasks', '0'], 'from 1 to 100000 (branches), got 0'],
    ['a bad address', ['--redis-url', 'localhost'], '--redis-url: expected an address: redis://host:6379'],
    ['a bad prefix', ['--redis-key-prefix', '{x}'], '--redis-key-prefix: expected a text that matches'],
    ['no tasks', [], 'expected at least one task module'],
    ['a bad queue', ['--tasks', tasks, '--queue', 'a b'], 'got "a b"'],
  ])('that are wrong end it with exit code 2: %s', async (_what, args, says) => {
    const child = worker(args)
    expect((await child.ends(10_000)).code).toBe(2)
    expect(child.output).toContain(says)
    expect(child.output.trim().split('\n')).toHaveLength(1)
  })
})

describe('a password that Redis does not ask for', () => {
  it('is no matter: nothing is said of it, neither by the worker nor by the thread that renews its session', async () => {
    const { port } = await sharedRedis()
    const address = `redis://:geheim@127.0.0.1:${port}`
    const child = await ready(worker(['--tasks', tasks, '--redis-url', address, '--key-prefix', freshPrefix()]))
    child.signal('SIGTERM')
    expect((await child.ends(5_000)).code).toBe(0)
    const lines = child.output.trim().split('\n')
    expect(lines.filter((line) => !line.startsWith('{'))).toEqual([])
    expect(child.output).not.toMatch(/password|geheim/)
  })
})

describe('a metrics port', () => {
  it('that is in use ends it with exit code 2, saying which address, and what to do', async () => {
    const other = createServer(() => undefined)
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    try {
      const address = other.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      const args = ['--tasks', tasks, '--metrics-host', '127.0.0.1', '--metrics-port', String(port)]
      const child = worker(args)
      expect((await child.ends(10_000)).code).toBe(2)
      expect(child.output.trim()).toBe(
        `graflow-worker: worker: metricsPort: expected a free port, but another process listens on 127.0.0.1:${port} ` +
          '(another worker of this machine?): give each its own, or 0 for any free one',
      )
    } finally {
      other.close()
    }
  })

  it('on an address that is not this machine’s is refused, too', async () => {
    const child = worker(['--tasks', tasks, '--metrics-host', '192.0.2.1', '--metrics-port', '0'])
    expect((await child.ends(10_000)).code).toBe(2)
    expect(child.output).toContain('metricsHost: expected an address of this machine, such as 127.0.0.1 or 0.0.0.0')
  })
})

describe('without Redis', () => {
  it('it ends with exit code 1 within 5 s, naming the address without its password', async () => {
    const startedAt = performance.now()
    const child = worker(['--tasks', tasks, '--redis-url', 'redis://user:geheim@127.0.0.1:1'])
    const { code, at } = await child.ends(10_000)
    expect(code).toBe(1)
    expect(at - startedAt).toBeLessThan(5_000)
    expect(child.output).toContain('127.0.0.1:1')
    expect(child.output).not.toContain('geheim')
    expect(child.output.trim().split('\n')).toHaveLength(1)
  })

  it('nor does it wait longer for an address that never answers', async () => {
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const address = silent.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    try {
      const startedAt = performance.now()
      const { code, at } = await worker([
        '--tasks',
        tasks,
        '--redis-host',
        '127.0.0.1',
        '--redis-port',
        String(port),
      ]).ends(10_000)
      expect(code).toBe(1)
      expect(at - startedAt).toBeLessThan(5_500)
    } finally {
      silent.close()
    }
  })
})

describe('health', () => {
  it('is served on the port that the log names; it turns unready while draining', async () => {
    const { url } = await sharedRedis()
    const prefix = freshPrefix()
    const ledger = new Ledger()
    try {
      const args = [
        '--tasks',
        tasks,
        '--redis-url',
        url,
        '--redis-key-prefix',
        prefix,
        '--metrics-port',
        '0',
        '--worker-id',
        'h',
      ]
      const child = worker(args, ledger.env)
      const [, port = ''] = await child.said(/metrics on http:\/\/0\.0\.0\.0:(\d+)/)
      const get = async (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
      expect((await get('/readyz')).status).toBe(200)
      const graflow = await client(url, prefix)
      expect(await graflow.run(each(double), [1, 2, 3])).toEqual([2, 4, 6])
      const metrics = await (await get('/metrics')).text()
      expect(metrics).toContain('graflow_tasks_total{task="double",outcome="succeeded"} 3')
      expect(metrics).toContain(`graflow_queue_depth{key_prefix="${prefix}",queue="default"} 0`)
      const run = await graflow.start(each(bombs), [1])
      await ledger.until('start')
      child.signal('SIGTERM')
      await child.said(/draining/)
      expect((await get('/readyz')).status).toBe(503)
      expect((await get('/livez')).status).toBe(200)
      ledger.open('others')
      expect(await run.result()).toEqual([1])
      expect((await child.ends(5_000)).code).toBe(0)
    } finally {
      ledger.remove()
    }
  })
})

describe('an exception that no task caught', () => {
  it('FT-W19: ends the process with exit code 1; others finish its work, what it had not started with its first attempt', async () => {
    const { url } = await sharedRedis()
    const prefix = freshPrefix()
    const ledger = new Ledger()
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
      await ready(worker(args, ledger.env))
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
      ledger.remove()
    }
  })
})

describe('logs', () => {
  it('are JSON, one object a line, when nobody looks; text when asked for', async () => {
    const { url } = await sharedRedis()
    mkdirSync(join(folder, 'logs'))
    const args = ['--tasks', tasks, '--redis-url', url, '--redis-key-prefix', freshPrefix(), '--worker-id', 'l']
    const json = await ready(worker(args))
    const [line = ''] = json.output.split('\n')
    expect(JSON.parse(line)).toMatchObject({ level: 'info', workerId: 'l', pid: json.pid })
    const text = await ready(worker([...args, '--log-format', 'text']))
    expect(text.output).toMatch(/^\d{4}-\d\d-\d\dT\S+ info {2}worker l is ready/m)
  })
})
