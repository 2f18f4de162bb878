/**
 * Runs copies of the scripts in a folder of their own, with an npm and a compiler that only take notes: what is tested is when they
 * are called, not what they do.
 */
import { spawn } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

const project = join(__dirname, '../..')

/** Says what was done in ./notes; takes a moment to install what the lock file says. Some tests have no /bin on their PATH. */
const fakeNpm = `#!/bin/sh
echo "npm $1" >> notes
if [ -f npm-fails ]; then echo 'npm has a reason' >&2; exit 7; fi
/bin/sleep 0.05
/bin/mkdir -p node_modules
/bin/cp to-be-installed.json node_modules/.package-lock.json
`
const fakeCompiler = `
const fs = require('node:fs')
fs.appendFileSync('notes', 'tsc\\n')
fs.mkdirSync('dist/lib', { recursive: true })
for (const file of fs.readdirSync('lib')) if (file.endsWith('.ts')) {
  for (const end of ['.js', '.d.ts']) fs.writeFileSync('dist/lib/' + file.replace('.ts', end), '')
}
`

/** Writes what the bundle consists of, without a note: it belongs to a build. */
const fakeBundler = `
import { writeFileSync } from 'node:fs'
export async function build({ outdir }) {
  for (const file of ['first.js', 'first.css', 'app.js', 'app.css']) writeFileSync(outdir + '/' + file, '')
}
`

/** A checkout with two sources and two packages, one of them for another platform. */
class Checkout {
  readonly root = mkdtempSync(join(tmpdir(), 'graflow-setup-'))

  constructor() {
    cpSync(join(project, 'scripts'), join(this.root, 'scripts'), { recursive: true })
    this.write('bin-of-fakes/npm', fakeNpm)
    chmodSync(join(this.root, 'bin-of-fakes/npm'), 0o755)
    this.write('node_modules/typescript/bin/tsc', fakeCompiler)
    this.write('node_modules/esbuild/package.json', JSON.stringify({ type: 'module', exports: './index.js' }))
    this.write('node_modules/esbuild/index.js', fakeBundler)
    this.write('package.json', JSON.stringify({ engines: { node: '>=20.19' }, dependencies: { a: '1.0.0' } }))
    this.lock('1.0.0')
    for (const file of ['tsconfig.json', 'tsconfig.build.json']) this.write(file, '{}')
    this.write('lib/one.ts', 'export const one = 1')
    this.write('lib/two.ts', 'export const two = 2')
    this.write('lib/three.lua', 'return 3')
    for (const file of ['app.tsx', 'app.css', 'index.html']) this.write(`dashboard/${file}`, '')
  }

  lock(version: string): void {
    const here = { 'node_modules/a': { version, integrity: `sha512-${version}` } }
    const elsewhere = { 'node_modules/a-win32-x64': { version, optional: true } }
    const packages = { '': { dependencies: { a: '1.0.0' } }, ...here, ...elsewhere }
    this.write('package-lock.json', JSON.stringify({ packages }))
    this.write('to-be-installed.json', JSON.stringify({ packages: here }))
  }

  write(path: string, text: string): void {
    mkdirSync(join(this.root, path, '..'), { recursive: true })
    writeFileSync(join(this.root, path), text)
  }

  /** What was called since the last time. */
  notes(): readonly string[] {
    const path = join(this.root, 'notes')
    const lines = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
    rmSync(path, { force: true })
    return lines
  }

  has(path: string): boolean {
    return existsSync(join(this.root, path))
  }

  run(
    command: string,
    args: readonly string[],
    onPrinted?: (printed: string) => void,
    path = `${join(this.root, 'bin-of-fakes')}${delimiter}${process.env['PATH'] ?? ''}`,
  ): Promise<{ code: number | null; printed: string }> {
    const env = { ...process.env, PATH: path }
    const child = spawn(command, args, { cwd: this.root, env })
    let printed = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        printed += String(chunk)
        onPrinted?.(printed)
      })
    }
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code) => {
        resolve({ code, printed })
      })
    })
  }

  setup(onPrinted?: (printed: string) => void): Promise<{ code: number | null; printed: string }> {
    return this.run(process.execPath, ['scripts/setup.mjs'], onPrinted)
  }

  /** Set-up for the tests, on a machine that has nothing but Node.js and these programs. */
  async setupForTests(programs: Readonly<Record<string, string>>): Promise<{ code: number | null; printed: string }> {
    for (const [name, text] of Object.entries(programs)) {
      this.write(`machine/${name}`, `#!/bin/sh\n${text}\n`)
      chmodSync(join(this.root, 'machine', name), 0o755)
    }
    mkdirSync(join(this.root, 'machine'), { recursive: true })
    for (const [name, file] of [
      ['node', process.execPath],
      ['npm', join(this.root, 'bin-of-fakes/npm')],
      ['env', '/usr/bin/env'],
    ] as const) {
      symlinkSync(file, join(this.root, 'machine', name))
    }
    return this.run(process.execPath, ['scripts/setup.mjs', '--redis'], undefined, join(this.root, 'machine'))
  }
}

let checkout: Checkout
beforeEach(() => {
  checkout = new Checkout()
})
afterEach(() => {
  rmSync(checkout.root, { recursive: true, force: true })
})

describe('set-up', () => {
  it('installs and builds once, a line each, and then does nothing and says nothing', async () => {
    const first = await checkout.setup()
    expect(first.printed).toMatch(/^setup: installed dependencies in \d+\.\d s\nsetup: built dist in \d+\.\d s\n$/)
    expect(first.code).toBe(0)
    expect(checkout.notes()).toEqual(['npm ci', 'tsc'])

    expect(await checkout.setup()).toEqual({ code: 0, printed: '' })
    expect(checkout.notes()).toEqual([])
  })

  it('builds again when a source changed, is new or is gone, and removes what has no source', async () => {
    await checkout.setup()
    checkout.notes()
    expect(checkout.has('dist/lib/three.lua')).toBe(true)

    checkout.write('lib/one.ts', 'export const one = 11')
    await checkout.setup()
    expect(checkout.notes()).toEqual(['tsc'])

    checkout.write('lib/four.ts', 'export const four = 4')
    rmSync(join(checkout.root, 'lib/two.ts'))
    rmSync(join(checkout.root, 'lib/three.lua'))
    await checkout.setup()
    expect(checkout.notes()).toEqual(['tsc'])
    expect(['four.js', 'two.js', 'two.d.ts', 'three.lua'].map((file) => checkout.has(`dist/lib/${file}`))).toEqual([
      ...[true, false, false, false],
    ])
  })

  it('builds again when a file of dist is missing', async () => {
    await checkout.setup()
    checkout.notes()
    rmSync(join(checkout.root, 'dist/lib/one.js'))
    await checkout.setup()
    expect(checkout.notes()).toEqual(['tsc'])
  })

  it('installs again when the lock file says another version', async () => {
    await checkout.setup()
    checkout.notes()
    checkout.lock('1.0.1')
    await checkout.setup()
    expect(checkout.notes()[0]).toBe('npm ci')
  })

  it('works once when several start at once', async () => {
    const all = await Promise.all([checkout.setup(), checkout.setup(), checkout.setup()])
    expect(all.map(({ code }) => code)).toEqual([0, 0, 0])
    expect(checkout.notes()).toEqual(['npm ci', 'tsc'])
    expect(checkout.has('.cache/setup.lock')).toBe(false)
  })

  it('takes the lock of a process that has ended', async () => {
    const ended = spawn(process.execPath, ['--version'])
    await new Promise((resolve) => ended.on('close', resolve))
    checkout.write('.cache/setup.lock', `${String(ended.pid)} ${hostname()} 0`)
    expect((await checkout.setup()).code).toBe(0)
    expect(checkout.notes()).toEqual(['npm ci', 'tsc'])
  })

  it('waits for the lock of a process that lives', async () => {
    checkout.write('.cache/setup.lock', `${String(process.pid)} ${hostname()} 0`)
    let ended: Promise<{ code: number | null }> | undefined
    await new Promise<void>((resolve) => {
      ended = checkout.setup((printed) => {
        if (printed === `setup: waiting for process ${String(process.pid)}, which sets up this folder\n`) resolve()
      })
    })
    expect(checkout.notes()).toEqual([])
    rmSync(join(checkout.root, '.cache/setup.lock'))
    expect((await ended)?.code).toBe(0)
    expect(checkout.notes()).toEqual(['npm ci', 'tsc'])
  })

  it('fails with what npm said, and leaves no lock', async () => {
    checkout.write('npm-fails', '')
    const { code, printed } = await checkout.setup()
    expect(code).toBe(1)
    expect(printed).toContain('npm has a reason')
    expect(printed).toContain('setup: npm ci failed (exit code 7)')
    expect(checkout.notes()).toEqual(['npm ci'])
    expect(checkout.has('.cache/setup.lock')).toBe(false)
  })

  it.each(['>=99.1', `>=${process.versions.node.replace(/\d+$/, (patch) => String(Number(patch) + 1))}`])(
    'refuses a Node.js that is not %s, in one sentence',
    async (node) => {
      checkout.write('package.json', JSON.stringify({ engines: { node } }))
      const { code, printed } = await checkout.setup()
      expect(code).toBe(1)
      expect(printed).toBe(
        `graflow needs Node.js ${node.slice(2)} or newer; this is ${process.versions.node}. Get a newer one from https://nodejs.org\n`,
      )
      expect(checkout.notes()).toEqual([])
    },
  )

  it.each(['>=20', `>=${process.versions.node}`, '>=18.99.99'])('accepts a Node.js that is %s', async (node) => {
    checkout.write('package.json', JSON.stringify({ engines: { node } }))
    expect(await checkout.run(process.execPath, ['scripts/node-version.mjs'])).toEqual({ code: 0, printed: '' })
  })
})

describe('npm run', () => {
  const { scripts }: { scripts: Readonly<Record<string, string>> } = JSON.parse(
    readFileSync(join(project, 'package.json'), 'utf8'),
  )

  it('build: installs what is missing, then builds, each time', async () => {
    const first = await checkout.run('sh', ['-c', scripts['build'] ?? ''])
    expect(first).toEqual({ code: 0, printed: expect.stringMatching(/^setup: installed dependencies in \d+\.\d s\n$/) })
    expect(checkout.notes()).toEqual(['npm ci', 'tsc'])
    expect(await checkout.run('sh', ['-c', scripts['build'] ?? ''])).toEqual({ code: 0, printed: '' })
    expect(checkout.notes()).toEqual(['tsc'])
  })

  it.each([
    ['prepack', []],
    ['package', ['npm pack']],
  ])('%s: has everything built before it packs', async (name, packs) => {
    expect((await checkout.run('sh', ['-c', scripts[name] ?? ''])).code).toBe(0)
    expect(checkout.notes()).toEqual(['npm ci', 'tsc', ...packs])
    expect((await checkout.run('sh', ['-c', scripts[name] ?? ''])).code).toBe(0)
    expect(checkout.notes()).toEqual(packs)
  })
})

describe('set-up for the tests', () => {
  const howToInstall =
    'install one (Debian, Ubuntu: apt-get install redis-server; Fedora: dnf install valkey; macOS: brew install redis) and run this again\n'
  const server = (version: string): string => `echo 'Redis server v=${version} sha=00000000:0 malloc=libc bits=64'`
  /** Takes a note, and installs a server of this version. */
  const apt = (version: string): string =>
    `echo "apt-get $*" >> notes
case "$*" in
  *install*) printf '#!/bin/sh\\n%s\\n' "${server(version)}" > machine/redis-server; /bin/chmod 755 machine/redis-server ;;
esac`
  const isRoot = process.getuid?.() === 0

  it.each([
    ['redis-server', '7.0.15'],
    ['valkey-server', '8.1.0'],
  ])('is content with a %s on PATH', async (name, version) => {
    const { code, printed } = await checkout.setupForTests({ [name]: server(version), 'apt-get': apt('7.0.15') })
    expect(printed).not.toContain('redis')
    expect(code).toBe(0)
    expect(checkout.notes()).toEqual(['npm ci', 'tsc'])
  })

  it('takes a valkey-server where the redis-server is too old', async () => {
    const programs = { 'redis-server': server('6.0.16'), 'valkey-server': server('8.1.0') }
    expect((await checkout.setupForTests(programs)).code).toBe(0)
  })

  it('installs a redis-server where it may, and says what to install where it may not', async () => {
    const { code, printed } = await checkout.setupForTests({ 'apt-get': apt('7.0.15') })
    if (isRoot) {
      expect(printed).toMatch(/^setup: installed redis-server in \d+\.\d s\n/)
      expect(code).toBe(0)
      expect(checkout.notes()).toEqual([
        ...['apt-get --version', 'apt-get update', 'apt-get install -y --no-install-recommends redis-server'],
        ...['npm ci', 'tsc'],
      ])
    } else {
      expect(printed).toContain(`got neither; ${howToInstall}`)
      expect(code).toBe(1)
    }
  })

  it('says what to install where there is no apt-get, before it does anything else', async () => {
    const { code, printed } = await checkout.setupForTests({})
    expect(printed).toBe(
      `setup: the tests start a redis-server or valkey-server 7.0 or newer from PATH, got neither; ${howToInstall}`,
    )
    expect(code).toBe(1)
    expect(checkout.notes()).toEqual([])
  })

  it('leaves a server alone that is too old, and says so', async () => {
    const { code, printed } = await checkout.setupForTests({
      'redis-server': server('6.0.16'),
      'apt-get': apt('7.0.15'),
    })
    expect(printed).toContain(`got redis-server 6.0.16; ${howToInstall}`)
    expect(code).toBe(1)
    expect(checkout.notes()).toEqual([])
  })

  it('says what to install when apt-get fails, or has one that is too old', async () => {
    if (!isRoot) return
    const fails = await checkout.setupForTests({ 'apt-get': 'echo no network; [ "$1" = --version ]' })
    expect(fails.printed).toContain('no network')
    expect(fails.printed).toContain(`got neither, and apt-get update failed (exit code 1); ${howToInstall}`)
    const other = new Checkout()
    try {
      const { code, printed } = await other.setupForTests({ 'apt-get': apt('6.0.16') })
      expect(printed).toContain(`got redis-server 6.0.16 after installing what apt-get has; ${howToInstall}`)
      expect(code).toBe(1)
    } finally {
      rmSync(other.root, { recursive: true, force: true })
    }
  })
})

describe('.ci/run', () => {
  /** An npm whose `test` writes `report`, whose `test:long` writes `long`, whose `test:browser` has five good tests, and whose other scripts end as told. */
  function prepare(
    report: string | undefined,
    exits: Readonly<Record<string, number>> = {},
    long = reportOf(10, 0),
  ): void {
    cpSync(join(project, '.ci/run'), join(checkout.root, '.ci/run'))
    if (report !== undefined) checkout.write('report', report)
    checkout.write('report-long', long)
    checkout.write('report-browser', reportOf(5, 0))
    for (const [name, code] of Object.entries(exits)) checkout.write(`exits/${name}`, String(code))
    checkout.write(
      'bin-of-fakes/npm',
      `#!/bin/sh
while [ "$1" = run ] || [ "$1" = --silent ]; do shift; done
echo "$1" >> notes
if [ "$1" = test ] && [ -f report ]; then cp report .cache/jest.json; fi
if [ "$1" = test:long ] && [ -f report-long ]; then cp report-long .cache/jest-long.json; fi
if [ "$1" = test:browser ]; then cp report-browser .cache/jest-browser.json; fi
exit "$(cat "exits/$1" 2>/dev/null || echo 0)"
`,
    )
  }
  const reportOf = (passed: number, failed: number, broken = 0): string =>
    JSON.stringify({ numPassedTests: passed, numFailedTests: failed, numRuntimeErrorTestSuites: broken })
  const everyCheck = [
    'test',
    'test:long',
    'test:browser',
    'lint',
    'types',
    'unused',
    'package-check',
    'fuzz:server',
    'field:autoscaling',
    'field:prometheus',
  ]

  it.each([
    ['all is well', reportOf(90, 0), {}, '112 passed, 0 failed'],
    ['a test failed', reportOf(89, 1), { test: 1 }, '111 passed, 1 failed'],
    ['a test file could not run', reportOf(80, 0, 1), { test: 1 }, '102 passed, 1 failed'],
    ['jest failed without a failed test', reportOf(90, 0), { test: 1 }, '112 passed, 1 failed'],
    ['another check failed', reportOf(90, 0), { lint: 1, unused: 2 }, '110 passed, 2 failed'],
    ['there is no report', undefined, {}, '22 passed, 1 failed'],
    ['there is no report because the set-up failed', undefined, { test: 1 }, '22 passed, 1 failed'],
    ['no test ran', reportOf(0, 0), {}, '22 passed, 1 failed'],
    ['the report is something else', '{}', {}, '22 passed, 1 failed'],
    ['the report is cut off', '{"numPassedTests": 3', {}, '22 passed, 1 failed'],
  ])('when %s', async (_, report, exits, lastLine) => {
    prepare(report, exits)
    const { code, printed } = await checkout.run('bash', ['.ci/run'])
    expect(printed.split('\n').slice(-2)).toEqual([lastLine, ''])
    expect(code).toBe(lastLine.endsWith(' 0 failed') ? 0 : 1)
    expect(checkout.notes()).toEqual(everyCheck)
  })

  it.each([
    ['a longer test failed', reportOf(9, 1), 1, '111 passed, 1 failed'],
    ['the longer tests ended without a report', '', 1, '102 passed, 1 failed'],
  ])('behind the tests, when %s', async (_, long, exit, lastLine) => {
    prepare(reportOf(90, 0), { 'test:long': exit }, long)
    const { code, printed } = await checkout.run('bash', ['.ci/run'])
    expect([code, printed.split('\n').at(-2)]).toEqual([1, lastLine])
  })

  it('does not take the report of an earlier run for this one', async () => {
    prepare(undefined)
    checkout.write('.cache/jest.json', reportOf(90, 0))
    expect((await checkout.run('bash', ['.ci/run'])).printed).toMatch(/\n22 passed, 1 failed\n$/)
  })

  it('runs the short benchmark when there is one', async () => {
    prepare(reportOf(90, 0), { bench: 1 })
    checkout.write('bench/run.ts', '')
    expect((await checkout.run('bash', ['.ci/run'])).printed).toMatch(/\n112 passed, 1 failed\n$/)
    expect(checkout.notes()).toEqual([...everyCheck, 'bench'])
  })
})
