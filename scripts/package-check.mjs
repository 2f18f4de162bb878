/**
 * Checks the package as its users get it: packs it, lints the tarball (publint, attw), installs it in an empty folder outside the
 * checkout and there imports it, requires it and compiles a file against its declarations. Takes no options.
 */
import './node-version.mjs'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './dist.mjs'

const isWindows = process.platform === 'win32'

/** Runs a command, throws with all it printed when it fails, and returns what it printed on stdout. */
function run(command, args, cwd = root) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', shell: isWindows })
  if (error) throw error
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} exited with ${status}\n${stdout}${stderr}`)
  return stdout
}
const tool = (name) => join(root, 'node_modules/.bin', name)

let failures = 0
function check(name, body) {
  const startedAt = performance.now()
  try {
    body()
    console.log(`package: ${name}: ok (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`)
  } catch (error) {
    failures += 1
    console.log(`package: ${name}: FAILED\n${error.message}`)
  }
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const entries = Object.keys(manifest.exports).filter((entry) => entry !== './package.json')
const nameOf = (entry) => `${manifest.name}${entry.slice(1)}`

/** A module of a user's library: each form of the language, exported with the type that is inferred. */
const exportedFlows = `
import { again, choose, connect, declareTask, done, each, flow, loop, par, policy, seq, task, workflow } from '${manifest.name}'
import type { AnyNode, In, Node, TaskContext } from '${manifest.name}'
export const a = task('a', async (user: { id: string }, ctx) => (user.id === '' ? ctx.finish(1) : { city: user.id }))
export const declared = declareTask<typeof a>('a')
export const tuple = par(a, a)
export const record = par({ x: a, y: a })
export const joined = [tuple.settled(), record.critical('x'), tuple.first(), record.atLeast(1), tuple.with(a)] as const
export const decided = tuple.join(policy('count', async (all) => all.length))
export const rest = [each(a), seq(each(a), task('count', (all: readonly unknown[]) => all.length)), flow('a >> b', { a, b: task('b', () => 1) })] as const
export const chosen = choose(task('pick', (user: { id: string }) => (user.id === '' ? 'x' : 'y')), { x: a, y: tuple })
export const looped = loop(task('again', (n: number) => (n > 3 ? done(n) : again(n + 1))), { maxCycles: 5 })
export const whole = workflow('whole', record)
export const fan = <I, O>(node: Node<I, O>) => each(node).settled()
export const chain = <I, O, P>(first: Node<I, O>, second: Node<O, P>) => first.to(second)
export const make = <I, O>(name: string, work: (input: I) => Promise<O>) => task(name, work)
export const handler = async (n: number, ctx: TaskContext<number>) => (n > 1 ? ctx.again(n) : ctx.channel)
export async function begin<N extends AnyNode>(node: N, input: In<N>) {
  const run = await (await connect()).start(node, input)
  return { run, events: run.events(), branches: run.branches(), status: await run.status() }
}
`

function main(folder) {
  run(process.execPath, ['scripts/setup.mjs'])
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder]))
  const tarball = join(folder, packed.filename)
  console.log(
    `package: ${packed.filename}, ${packed.files.length} files, ${packed.size} bytes packed, ${packed.unpackedSize} unpacked`,
  )

  check('holds what it should and nothing else', () => {
    const odd = packed.files
      .map(({ path }) => path)
      .filter(
        (path) =>
          !/^(dist\/(lib|worker|bin)\/|dist\/dashboard\/(index\.html|(first|app)\.(js|css))$|docs\/(guides\/)?[a-z-]+\.md$|docs\/images\/[a-z-]+\.png$|(k8s|systemd|dashboards)\/[\w@./-]+$|package\.json$|[A-Z]+(\.md)?$)/.test(
            path,
          ),
      )
    if (odd.length > 0) throw new Error(`unexpected in the tarball: ${odd.join(', ')}`)
    for (const needed of [
      'LICENSE',
      'README.md',
      'docs/language.md',
      'systemd/graflow-worker@.service',
      'dist/lib/index.js',
      'dist/lib/index.d.ts',
      'dist/dashboard/app.js',
    ]) {
      if (!packed.files.some(({ path }) => path === needed)) throw new Error(`missing in the tarball: ${needed}`)
    }
  })
  check('publint', () => run(tool('publint'), ['run', tarball, '--strict']))
  check('attw', () => run(tool('attw'), [tarball, '--profile', 'esm-only']))

  const user = join(folder, 'user')
  mkdirSync(user)
  const write = (name, text) => writeFileSync(join(user, name), text)
  // A lock file like ours, without what only developers need: the packages then come from npm's cache, where `npm ci` has put them,
  // and nothing is asked of the network.
  const { '': self, ...locked } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const project = { name: 'user', private: true, type: 'module', dependencies: { [manifest.name]: `file:${tarball}` } }
  const packages = {
    '': project,
    [`node_modules/${manifest.name}`]: {
      version: manifest.version,
      resolved: `file:${tarball}`,
      dependencies: self.dependencies,
      ...(manifest.bin !== undefined && { bin: manifest.bin }),
    },
    ...Object.fromEntries(Object.entries(locked).filter(([, { dev }]) => !dev)),
  }
  write('package.json', JSON.stringify(project))
  write('package-lock.json', JSON.stringify({ lockfileVersion: 3, requires: true, packages }))
  const quiet = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund']
  check('installs', () => run('npm', ['ci', ...quiet], user))

  for (const entry of entries) {
    const name = nameOf(entry)
    const sameNames = `if (Object.keys(all).length === 0) throw new Error('it exports nothing')`
    check(`import ${name}`, () => {
      write(
        'import.mjs',
        `import * as all from '${name}'\n${sameNames}\nif ('default' in all) throw new Error('it has a default export')\n`,
      )
      run(process.execPath, ['import.mjs'], user)
    })
    check(`require ${name}`, () => {
      write('require.cjs', `const all = require('${name}')\n${sameNames}\n`)
      run(process.execPath, ['require.cjs'], user)
    })
  }
  for (const command of Object.keys(manifest.bin ?? {})) {
    check(`command ${command}`, () => {
      const said = run(join(user, 'node_modules/.bin', command), ['--version'], user)
      if (said.trim() !== manifest.version) throw new Error(`expected its version, got ${said}`)
    })
  }
  const using = entries
    .map((entry, index) => `import * as entry${index} from '${nameOf(entry)}'\nexport { entry${index} }\n`)
    .join('')
  // skipLibCheck is off: the declarations are checked with what they import, as a strict user would.
  const strict = [
    '--noEmit',
    '--strict',
    '--target',
    'es2023',
    '--lib',
    'es2023,esnext.disposable',
    '--types',
    'node',
    '--typeRoots',
    join(root, 'node_modules/@types'),
  ]
  for (const [name, flags] of Object.entries({
    nodenext: ['--module', 'nodenext', '--moduleResolution', 'nodenext'],
    bundler: ['--module', 'esnext', '--moduleResolution', 'bundler'],
  })) {
    check(`declarations under ${name}`, () => {
      write('use.ts', using)
      run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...strict, ...flags, 'use.ts'], user)
    })
  }
  // Types without a public name cannot be written into the declarations of a module that exports what we return.
  check('declarations of modules that export flows', () => {
    write('flows.ts', exportedFlows)
    const flags = ['--module', 'nodenext', '--moduleResolution', 'nodenext', '--declaration', '--outDir', 'out']
    const emitting = strict.filter((flag) => flag !== '--noEmit')
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...emitting, ...flags, 'flows.ts'], user)
  })
}

const folder = mkdtempSync(join(realpathSync(tmpdir()), 'graflow-package-'))
try {
  main(folder)
} catch (error) {
  failures += 1
  console.log(`package: ${error.message}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failures === 0 ? 0 : 1
