/** Options of a command, from flags, environment and file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from '../../bin/command.js'
import { WORKER_ALIASES } from '../../bin/commands/options.js'
import { readSettings } from '../../bin/settings.js'
import { WORKER_OPTIONS, defaultTextOf, type OptionSpec } from '../../lib/options.js'
import { failureOf } from '../support/captured-errors.js'

const command: Command = {
  name: 'graflow-worker',
  summary: 'runs tasks',
  table: WORKER_OPTIONS,
  aliases: WORKER_ALIASES,
  section: 'worker',
  version: '1.2.3',
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'graflow-settings-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const file = (value: unknown, name = 'graflow.config.json'): void => {
  writeFileSync(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value))
}
const settings = async (argv: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  (await readSettings(command, { argv, env, folder })).options
const refused = async (argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> => {
  const error = await failureOf(readSettings(command, { argv, env, folder }))
  expect(error.code).toBe('INVALID_OPTION')
  return error.message
}

describe('settings of a command', () => {
  it('come from flags, in both spellings, lists by repetition or commas', async () => {
    const argv =
      '--tasks a.js --tasks b.js,c.ts --queue default --queue=gpu:2 --max-concurrent-tasks 4 --metadata zone=eu-1'
    expect(await settings([...argv.split(' '), '--redis-key-prefix', 'my:app', '--role=worker'])).toEqual({
      tasks: ['a.js', 'b.js', 'c.ts'],
      queues: ['default', 'gpu:2'],
      maxConcurrentTasks: 4,
      metadata: ['zone=eu-1'],
      keyPrefix: 'my:app',
      role: 'worker',
    })
    expect(await settings(['--key-prefix', 'p'])).toEqual({ keyPrefix: 'p' })
  })

  it('take texts that look like numbers as what the option is', async () => {
    expect(await settings(['--worker-id', '007', '--build-id', '1.0'])).toEqual({ workerId: '007', buildId: '1.0' })
  })

  it.each(
    Object.entries(WORKER_OPTIONS).flatMap(([option, { env }]) => env.map((name): [string, string] => [name, option])),
  )('come from the environment: %s is %s', async (name, option) => {
    const spec: OptionSpec = WORKER_OPTIONS[option as keyof typeof WORKER_OPTIONS]
    const number = Math.max(17, spec.min ?? 0)
    const texts: Readonly<Record<string, readonly [string, unknown]>> = {
      integer: [String(number), number],
      list: ['a, b', ['a', 'b']],
      string: ['x', 'x'],
      boolean: ['true', true],
    }
    const own: Readonly<Record<string, string>> = {
      role: 'worker',
      logLevel: 'warn',
      logFormat: 'json',
      redisUrl: 'redis://h',
    }
    const text = own[option] ?? texts[spec.kind]?.[0] ?? ''
    expect(await settings([], { [name]: text })).toEqual({ [option]: own[option] ?? texts[spec.kind]?.[1] })
  })

  it('come from a file, at its top or in the section, in either spelling', async () => {
    file({
      redisUrl: 'redis://f',
      'redis-key-prefix': 'f',
      queue: 'a',
      worker: { metadata: { zone: 'eu' }, buildId: '2' },
    })
    expect(await settings([])).toEqual({
      ...{ redisUrl: 'redis://f', keyPrefix: 'f', queues: ['a'], metadata: ['zone=eu'], buildId: '2' },
    })
    file({ maxConcurrentTasks: 3 }, 'other.json')
    expect(await settings(['--config', 'other.json'])).toEqual({ maxConcurrentTasks: 3 })
    expect(await settings([], { GRAFLOW_CONFIG: 'other.json' })).toEqual({ maxConcurrentTasks: 3 })
  })

  it('take limits as pairs, from flags, environment and file', async () => {
    expect(await settings(['--limit', 'resultBytes=4mb', '--limit', 'branches=9'])).toEqual({
      limits: ['resultBytes=4mb', 'branches=9'],
    })
    expect(await settings([], { GRAFLOW_LIMITS: 'resultBytes=4mb,branches=9' })).toEqual({
      limits: ['resultBytes=4mb', 'branches=9'],
    })
    file({ limits: { resultBytes: '4mb', branches: 9 } })
    expect(await settings([])).toEqual({ limits: ['resultBytes=4mb', 'branches=9'] })
  })

  it('take variables that are called as the flags are, and words in any case', async () => {
    expect(
      await settings([], { GRAFLOW_QUEUE: 'a,b', GRAFLOW_CAPABILITY: 'gpu', GRAFLOW_LIMIT: 'branches=9' }),
    ).toEqual({
      ...{ queues: ['a', 'b'], capabilities: ['gpu'], limits: ['branches=9'] },
    })
    expect(await settings(['--role', 'Worker'], { LOG_LEVEL: 'INFO' })).toEqual({ role: 'worker', logLevel: 'info' })
  })

  it('count in the order flag, environment, file; GRAFLOW_ before the seeds’ names', async () => {
    file({ maxConcurrentTasks: 1, workerId: 'file', logLevel: 'error' })
    const env = { MAX_CONCURRENT_TASKS: '2', GRAFLOW_MAX_CONCURRENT_TASKS: '3', WORKER_ID: 'env', LOG_LEVEL: '' }
    expect(await settings(['--max-concurrent-tasks', '4'], env)).toEqual({
      ...{ maxConcurrentTasks: 4, workerId: 'env', logLevel: 'error' },
    })
    expect(await settings([], env)).toMatchObject({ maxConcurrentTasks: 3 })
  })

  it('take a host that is a flag before an address from elsewhere', async () => {
    expect(await settings(['--redis-port', '7'], { REDIS_URL: 'redis://e' })).toEqual({ redisPort: 7 })
    expect(await settings([], { REDIS_URL: 'redis://e', REDIS_HOST: 'h' })).toEqual({ redisUrl: 'redis://e' })
  })

  it('take host, port and database, or an address, from the place that counts more', async () => {
    file({ redisUrl: 'redis://f', redisDb: 2 })
    expect(await settings([], { REDIS_HOST: 'h' })).toEqual({ redisHost: 'h', redisDb: 2 })
    expect(await settings([], { REDIS_URL: 'redis://e', REDIS_HOST: 'h' })).toEqual({ redisUrl: 'redis://e' })
    expect(await settings(['--redis-port', '7'], { REDIS_HOST: 'h' })).toEqual({
      ...{ redisHost: 'h', redisPort: 7, redisDb: 2 },
    })
    expect(await settings([])).toEqual({ redisUrl: 'redis://f' })
    file({ redisUrl: 'redis://f', worker: { redisHost: 's' } })
    expect(await settings([])).toEqual({ redisHost: 's' })
  })

  it('take no offence at variables that do not count: Kubernetes sets REDIS_PORT for a Service named redis', async () => {
    const env = {
      GRAFLOW_REDIS_URL: 'redis://e',
      REDIS_PORT: 'tcp://10.0.0.1:6379',
      GRAFLOW_REDIS_PORT: 'tcp://10.0.0.1:1',
    }
    expect(await settings([], env)).toEqual({ redisUrl: 'redis://e' })
    expect(await settings(['--redis-url', 'redis://g'], { REDIS_PORT: env.REDIS_PORT })).toEqual({
      redisUrl: 'redis://g',
    })
    expect(await settings(['--redis-port', '7'], { REDIS_PORT: env.REDIS_PORT })).toEqual({ redisPort: 7 })
    const says = await refused([], { GRAFLOW_REDIS_PORT: env.GRAFLOW_REDIS_PORT })
    expect(says).toMatch(/^GRAFLOW_REDIS_PORT: expected an integer from 1 to 65535, got /)
    expect(says).toMatch(
      /Kubernetes sets it .* Service "graflow-redis": put enableServiceLinks: false into the pod's spec$/,
    )
    expect(await refused([], { GRAFLOW_METRICS_PORT: 'tcp://10.0.0.1:1' })).toContain('Service "graflow-metrics"')
    expect(await refused([], { REDIS_URL: 'redis://e', REDIS_PORT: '1', GRAFLOW_ROLE: 'boss' })).toContain(
      'GRAFLOW_ROLE',
    )
  })

  it('read secrets from files', async () => {
    file('redis://:secret@h\n', 'url')
    expect(await settings([], { GRAFLOW_REDIS_URL_FILE: 'url' })).toEqual({ redisUrl: 'redis://:secret@h' })
    expect(await refused([], { GRAFLOW_REDIS_URL_FILE: 'none' })).toContain('GRAFLOW_REDIS_URL_FILE: cannot read')
  })

  it('are printed by --help: every flag with its default and its variables', async () => {
    const { text } = await readSettings(command, { argv: ['--help'], env: {}, folder })
    for (const spec of Object.values<OptionSpec>(WORKER_OPTIONS)) {
      const { flag = '', env = [] } = spec
      expect(text).toContain(`--${flag}`)
      expect(text).toContain(`default: ${defaultTextOf(spec)}`)
      for (const name of env) expect(text).toContain(name)
    }
    expect((await readSettings(command, { argv: ['--version'], env: {}, folder })).text).toBe('1.2.3')
  })

  it.each<[string, readonly string[], string]>([
    [
      'an unknown flag',
      ['--max-concurrent-task', '3'],
      'unknown flag --max-concurrent-task (did you mean "--max-concurrent-tasks"?)',
    ],
    ...['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', '_', '$0'].flatMap(
      (name): [string, readonly string[], string][] => [
        [`--${name}, which every object has`, [`--${name}`, 'x'], `unknown flag --${name}`],
        [`--${name} with =`, [`--${name}=x`], `unknown flag --${name}`],
        [`--no-${name}`, [`--no-${name}`], `unknown flag --no-${name}`],
      ],
    ),
    ['a misspelling of one', ['--constructor', 'x', '--role', 'auto'], 'graflow-worker --help lists the flags'],
    ['the beginning of a flag', ['--graceful', '3'], '(did you mean "--graceful-shutdown-timeout-ms"?)'],
    ['a word that is no flag', ['tasks.js'], 'expected flags only, got "tasks.js"'],
    ['a flag without a value', ['--tasks'], '--tasks: expected a value, got nothing: write --tasks ./tasks.js; '],
    [
      'a flag before another',
      ['--tasks', '--role', 'auto'],
      '--tasks: expected a value, got the flag --role: write --tasks',
    ],
    ['a flag with an empty text', ['--redis-url', ''], '--redis-url: expected a value, got nothing: write --re'],
    [
      'a flag whose value is empty',
      ['--redis-url='],
      '--redis-url: expected a value, got nothing: write --redis-url redis://',
    ],
    [
      'the second of a flag without',
      ['--queue', 'a', '--queue'],
      '--queue: expected a value, got nothing: write --queue default',
    ],
    ['an alias without', ['--key-prefix'], '--key-prefix: expected a value, got nothing: write --key-prefix graflow'],
    ['--config without a value', ['--config'], '--config: expected a value, got nothing: write --config FILE'],
    ['too large a number', ['--redis-port', '70000'], '--redis-port: expected an integer from 1 to 65535, got 70000'],
    ['a text for a number', ['--redis-port', 'x'], '--redis-port: expected an integer from 1 to 65535, got "x"'],
    ['a misspelt word', ['--role', 'obsever'], 'got "obsever" (did you mean "observer"?)'],
    ['a bad prefix', ['--redis-key-prefix', 'a:{b}'], '--redis-key-prefix: expected a text that matches'],
  ])('refuse %s', async (_what, argv, says) => {
    expect(await refused(argv)).toContain(says)
  })

  it.each(['constructor', '__proto__', 'toString'])('refuse %s in a file', async (name) => {
    file(`{ "${name}": 1 }`)
    expect(await refused([])).toContain(`${name}: there is no such option`)
    file(`{ "worker": { "${name}": 1 } }`)
    expect(await refused([])).toContain(`${name}: there is no such option`)
  })

  it.each(Object.values(WORKER_OPTIONS).map(({ flag }) => flag))(
    'refuse --%s without a value, in our words',
    async (flag) => {
      expect(await refused([`--${flag}`])).toMatch(
        new RegExp(
          `^--${flag}: expected a value, got nothing: write --${flag} \\S+; graflow-worker --help lists the flags$`,
        ),
      )
    },
  )

  it.each(['rediss//:s3cret@h', 'redis:/:s3cret@h', 'redis://:s3 cret@h', 'localhost:6379'])(
    'FT-H13: refuse the address %j, say which forms there are, and show nothing of it',
    async (address) => {
      for (const says of [await refused(['--redis-url', address]), await refused([], { GRAFLOW_REDIS_URL: address })]) {
        expect(says).toContain('redis://host:6379')
        expect(says).not.toMatch(/s3|cret|localhost/)
      }
    },
  )

  it('refuse bad values of the environment and of files, and say where they stand', async () => {
    expect(await refused([], { GRAFLOW_ROLE: 'boss' })).toContain('GRAFLOW_ROLE: expected one of')
    file({ maxConcurentTasks: 3 })
    expect(await refused([])).toContain(
      'graflow.config.json: maxConcurentTasks: there is no such option (did you mean "maxConcurrentTasks"?)',
    )
    file({ worker: { redisPort: 'x' } })
    expect(await refused([])).toContain('graflow.config.json: worker: redisPort: expected an integer')
    file('{ "a": ')
    expect(await refused([])).toContain('is no JSON')
    file('[]')
    expect(await refused([])).toContain('expected an object of options')
    expect(await refused(['--config', 'none.json'])).toContain('cannot read')
  })
})
