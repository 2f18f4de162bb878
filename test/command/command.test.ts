/** The command `graflow`: commands, flags, what it prints for people and for programs, and exit codes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { COMMANDS } from '../../bin/commands.js'
import { CONFIG_OPTIONS } from '../../bin/commands/options.js'
import { EXIT_CODES } from '../../bin/exit-codes.js'
import { knownFlags } from '../../bin/command.js'
import { flow, par, task, workflow } from '../../lib/index.js'
import { faultOf, WORKER_OPTIONS } from '../../lib/options.js'
import { command } from '../support/command.js'
import { readDoc, tableRows } from '../repo-rules/doc-table.js'

const a = task('a', (n: number) => n + 1)
const b = task('b', (n: number) => n * 2)
const both = flow('a >> b', { a, b })
const named = workflow('twice', par(a, b))

const connection = (['redisUrl', 'redisHost', 'redisPort', 'redisDb', 'keyPrefix'] as const).map(
  (option) => WORKER_OPTIONS[option].flag,
)

describe('graflow', () => {
  it.each(['help', '--help', '-h'])('lists its commands: %s', async (word) => {
    const { code, out } = await command([word])
    expect(code).toBe(0)
    for (const [name, { command: one }] of COMMANDS)
      expect(out).toMatch(new RegExp(`^  ${name} +${one.summary.slice(0, 20)}`, 'm'))
    expect(await command([])).toMatchObject({ code: 0, out })
  })

  it.each([...COMMANDS.keys()])(
    '%s: takes the connection of a worker, --config, --help and --version',
    async (name) => {
      const entry = COMMANDS.get(name)
      expect(entry).toBeDefined()
      const flags = entry === undefined ? [] : knownFlags(entry.command)
      expect(flags).toEqual(expect.arrayContaining([...connection, 'config', 'help', 'version']))
      const { code, out } = await command([name, '--help'])
      expect([code, out.split('\n')[0]]).toEqual([0, `graflow ${name}: ${entry?.command.summary ?? ''}`])
      expect((await command(['help', name])).out).toBe(out)
      expect((await command([name, '--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/)
    },
  )

  it.each<[string, readonly string[], string]>([
    ['another command', ['rum'], 'graflow: there is no command "rum" (did you mean "run"?); graflow --help lists them'],
    ['a flag first', ['--json', 'run'], 'graflow: expected a command first, such as graflow run, got the flag --json'],
    [
      'another flag',
      ['run', '--inptu', '1'],
      'graflow run: unknown flag --inptu (did you mean "--input"?); graflow run',
    ],
    ['a misspelt switch', ['config', '--jsn'], 'graflow config: unknown flag --jsn (did you mean "--json"?)'],
    ['a switch with a value', ['submit', 'x.mjs', '--wait=x'], '--wait: expected no value, got "x": write --wait'],
    ['a misspelt word', ['graph', 'x.mjs', '--format', 'mermiad'], 'got "mermiad" (did you mean "mermaid"?)'],
    ['a word where none is taken', ['config', 'x'], 'graflow config: expected flags only, got "x"'],
    ['no module', ['run'], 'graflow run: expected a task module, such as ./tasks.mjs, got none'],
    ['an input that is no JSON', ['run', 'x.mjs', '--input', 'abc'], `a text stands in double quotes: --input '"abc"'`],
    ['the same, as what it is', ['run', 'x.mjs', '--input', 'abc'], '--input: expected JSON, got what is none: '],
    ['an empty input', ['run', 'x.mjs', '--input', ' '], '--input: expected JSON, got nothing; '],
    ['a file that is not there', ['run', 'x.mjs', '--input', '@nosuch.json'], '--input: cannot read'],
    ['another flow', ['run', 'x.mjs', '--workflow', 'twise'], 'got "twise" (did you mean "twice"?)'],
  ])('refuses %s, with exit code 2', async (_what, argv, says) => {
    const { code, out, err } = await command(argv, { named, a })
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain(says)
    expect(err.trim().split('\n')).toHaveLength(1)
  })
})

describe('--json', () => {
  /** The names in a document, as docs/command.md writes them; those that differ from run to run are left out. */
  const told = new Map(tableRows(readDoc('command.md'), 'JSON').map(([name = '', has = '']) => [name, namesIn(has)]))

  it.each<[row: string, argv: readonly string[], of: (document: any) => object]>([
    [
      '`run`, `submit --wait`',
      ['run', 'x.mjs', '--workflow', 'a', '--input', '1', '--embedded'],
      (document) => document,
    ],
    ['`run`, `submit --wait`', ['run', 'x.mjs', '--workflow', 'thrower', '--embedded'], (document) => document],
    ['`graph`', ['graph', 'x.mjs'], ([document]) => document],
    ['`config`', ['config'], ({ workerId }) => workerId],
    ['`doctor`', ['doctor', '--redis-port', '1'], ({ findings: [document] }) => ({ findings: 0, ...document })],
    ['every command', ['run', 'x.mjs', '--inptu', '1'], (document) => document],
    ['every command', ['graph', 'nosuch.mjs', '--workflow', 'x'], (document) => document],
  ])('gives a document that the page tells of: %s', async (row, argv, of) => {
    const thrower = task('thrower', () => {
      throw new TypeError('no luck')
    })
    const { out, err } = await command([...argv, '--json'], { named, a, thrower })
    const names = Object.keys(of(JSON.parse(out)))
    expect(names.filter((name) => !(told.get(row) ?? []).includes(name))).toEqual([])
    expect(names.length).toBeGreaterThan(0)
    if (row === 'every command') expect(err).toMatch(/^graflow \w+: /)
  })

  it('stands in the page for each command that has it', () => {
    const having = [...COMMANDS].flatMap(([name, { command: one }]) =>
      one.switches?.['json'] === undefined ? [] : [name],
    )
    const rows = [...told.keys()].join(' ')
    expect(having.filter((name) => !rows.includes(`\`${name}\``))).toEqual([])
  })
})

/** Names in backquotes. */
function namesIn(text: string): readonly string[] {
  return [...text.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)
}

describe('docs/command.md', () => {
  const page = readDoc('command.md')

  it('has every command, with what it does, and no other', () => {
    const told = [...COMMANDS].map(([name, { command: one }]) => [`\`${name}\``, one.summary])
    expect(tableRows(page, 'Commands').map(([name, does]) => [name, does])).toEqual(told)
  })

  it('has every exit code, and no other', () => {
    const told = Object.values(EXIT_CODES).map(({ code, says }) => [String(code), says])
    expect(tableRows(page, 'Exit codes')).toEqual(told)
  })

  it('has every flag and switch of each command beside the connection, and no other', () => {
    for (const [name, { command: one }] of COMMANDS) {
      const own = knownFlags(one).filter(
        (flag) => ![...connection, 'key-prefix', 'config', 'help', 'version'].includes(flag),
      )
      const isOfWorkers = own.includes('max-concurrent-tasks')
      const listed = new RegExp(`^### ${name}\\n[^]*?^Flags: (.*)$`, 'm').exec(page)?.[1] ?? 'none'
      const flags = [...listed.matchAll(/`--([\w-]+)`/g)].map(([, flag]) => flag)
      const workers = Object.values<{ flag: string }>(WORKER_OPTIONS).map(({ flag }) => flag)
      const expected = isOfWorkers
        ? own.filter((flag) => !workers.includes(flag) && !['queue', 'capability', 'limit'].includes(flag))
        : own
      expect([name, flags]).toEqual([name, expected])
    }
  })
})

describe('graflow graph', () => {
  it('lists the flows of a module, by name, kind and text', async () => {
    const { code, out } = await command(['graph', 'x.mjs'], { both, named, a })
    expect(code).toBe(0)
    expect(out).toBe('NAME   KIND      FLOW\nboth   sequence  a >> b\ntwice  workflow  a | b\na      task      a\n')
  })

  it('draws one, as text, Mermaid, SVG and JSON', async () => {
    const draw = async (...flags: readonly string[]): Promise<string> =>
      (await command(['graph', 'x.mjs', '--workflow', 'twice', ...flags], { both, named })).out
    expect(await draw()).toBe('a | b\n')
    expect(await draw('--format', 'mermaid')).toBe(`${named.toMermaid().trimEnd()}\n`)
    expect(await draw('--format', 'svg')).toContain('<svg')
    expect(JSON.parse(await draw('--json'))).toEqual([
      { name: 'twice', kind: 'workflow', text: 'a | b', hash: named.hash, mermaid: named.toMermaid() },
    ])
  })

  it('takes the one that is meant: an export, the only workflow, the only flow', async () => {
    const text = async (exports: object, ...flags: readonly string[]): Promise<string> => {
      const { out, err } = await command(['graph', 'x.mjs', '--format', 'mermaid', ...flags], { ...exports })
      return out === '' ? err.trim() : out.trim()
    }
    expect(await text({ both, named, a })).toBe(named.toMermaid().trim())
    expect(await text({ both, a, b })).toBe(both.toMermaid().trim())
    expect(await text({ both, named }, '--workflow', 'named')).toBe(named.toMermaid().trim())
    expect(await text({ a, b })).toBe('graflow graph: expected --workflow NAME, since there are several flows: a, b')
    expect(await text({})).toContain('expected a module that exports a task, flow or workflow')
  })
})

describe('graflow config', () => {
  const env = {
    GRAFLOW_MAX_CONCURRENT_TASKS: '4',
    REDIS_URL: 'redis://ada:s3cret@db:6380/2',
    GRAFLOW_API_KEY: 'k3y-k3y-k3y',
  }

  it('says what holds and where it comes from, without secrets', async () => {
    const { code, out } = await command(['config', '--role', 'worker'], {}, { env })
    expect(code).toBe(0)
    const rows = out.split('\n').map((line) => line.split(/ {2,}/))
    expect(rows).toEqual(
      expect.arrayContaining([
        ['OPTION', 'FROM', 'VALUE'],
        ['redisUrl', 'REDIS_URL', 'redis://***@db:6380/2'],
        ['maxConcurrentTasks', 'GRAFLOW_MAX_CONCURRENT_TASKS', '4'],
        ['role', '--role', 'worker'],
        ['gracefulShutdownTimeoutMs', 'default', '30000'],
        ['apiKey', 'GRAFLOW_API_KEY', '***'],
      ]),
    )
    expect(out).not.toMatch(/s3cret|k3y|ada:/)
  })

  it('says the same as JSON', async () => {
    const { out } = await command(['config', '--json'], {}, { env })
    const read = JSON.parse(out)
    expect(read).toMatchObject({
      redisUrl: { value: 'redis://***@db:6380/2', from: 'REDIS_URL' },
      maxConcurrentTasks: { value: 4, from: 'GRAFLOW_MAX_CONCURRENT_TASKS' },
      workerId: { value: null, from: 'default', note: 'random' },
      redisHost: { value: null, from: 'default', note: 'that of redisUrl' },
      apiKey: { value: '***', from: 'GRAFLOW_API_KEY' },
    })
    expect(Object.keys(read)).toEqual(expect.arrayContaining(Object.keys(WORKER_OPTIONS)))
    expect(out).not.toMatch(/s3cret|k3y|ada:/)
  })

  it('gives as values only what an option takes', async () => {
    const read = JSON.parse((await command(['config', '--json'], {}, { env: {} })).out)
    const faults = Object.entries(CONFIG_OPTIONS).flatMap(([option, spec]) => {
      const { value } = read[option]
      return value === null ? [] : (faultOf(spec, value) ?? [])
    })
    expect(faults).toEqual([])
    const hidden = { REDIS_HOST: 'h', GRAFLOW_TASKS: 'a,redis://:s3cret@h' }
    expect(JSON.parse((await command(['config', '--json'], {}, { env: hidden })).out)).toMatchObject({
      ...{ redisUrl: { value: null, note: 'made of redisHost, redisPort, redisDb' } },
      ...{ redisHost: { value: 'h', from: 'REDIS_HOST' }, tasks: { value: ['a', '***'], from: 'GRAFLOW_TASKS' } },
    })
  })

  it('reads what is of dev and of the exporter where these read it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'graflow-config-'))
    try {
      expect((await command(['init'], {}, { folder })).code).toBe(0)
      const path = join(folder, 'graflow.config.json')
      const file = JSON.parse(readFileSync(path, 'utf8'))
      const exporter = { apiKey: 'k3y-k3y-k3y', metricsPort: 9000 }
      writeFileSync(path, JSON.stringify({ ...file, exporter, worker: { buildId: '7' } }))
      const { out } = await command(['config', '--json'], {}, { folder })
      expect(JSON.parse(out)).toMatchObject({
        ...{ run: { value: 'hello', from: `${path}: dev` }, input: { value: '10', from: `${path}: dev` } },
        ...{ apiKey: { value: '***', from: `${path}: exporter` }, buildId: { value: '7', from: `${path}: worker` } },
        ...{ metricsPort: { value: null, from: 'default' }, tasks: { value: ['./tasks.mjs'], from: path } },
      })
      writeFileSync(path, JSON.stringify({ worker: { apiKey: 'k3y-k3y-k3y' } }))
      expect((await command(['config'], {}, { folder })).err).toContain('worker: apiKey: there is no such option')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('has colours on a terminal, unless NO_COLOR is set or the terminal is dumb', async () => {
    const painted = async (variables: Readonly<Record<string, string>>): Promise<boolean> =>
      (await command(['config'], {}, { isTTY: true, env: variables })).out.includes('\u001b[')
    expect(await painted({ TERM: 'xterm' })).toBe(true)
    expect(await painted({ TERM: 'xterm', NO_COLOR: '1' })).toBe(false)
    expect(await painted({ TERM: 'dumb' })).toBe(false)
    expect((await command(['config'], {}, { env: { TERM: 'xterm' } })).out).not.toContain('\u001b[')
  })
})
