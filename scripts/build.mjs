/**
 * Builds dist/ from lib/, worker/, bin/ and dashboard/: compiles (only what changed), bundles the dashboard, copies what is not
 * TypeScript, removes what has no source any more, and leaves a stamp by which scripts/setup.mjs sees that nothing is to be done. Takes no options.
 */
import './node-version.mjs'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { bundleDashboard } from './bundle.mjs'
import { copiedSources, embeddedSources, embedding, expectedOutputs, filesBelow, root, sourcesHash } from './dist.mjs'

const stamp = join(root, '.cache/build-stamp')
// Taken before the compiler reads: a source that is edited meanwhile then leads to another build, never to a stale one.
const hash = sourcesHash()
mkdirSync(dirname(stamp), { recursive: true })
rmSync(stamp, { force: true })

// tsc trusts its notes over what is in dist/: without the files, the notes must go too.
if (expectedOutputs().some((output) => !existsSync(join(root, output)))) {
  rmSync(join(root, '.cache/tsconfig.build.tsbuildinfo'), { force: true })
}
const tsc = join(root, 'node_modules/typescript/bin/tsc')
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
if (status !== 0) process.exit(status ?? 1)

for (const source of copiedSources()) {
  mkdirSync(dirname(join(root, 'dist', source)), { recursive: true })
  copyFileSync(join(root, source), join(root, 'dist', source))
}
// What is no JavaScript stands as text in a module, so that it is found wherever that is bundled to.
const texts = embeddedSources().map((source) => [source, readFileSync(join(root, source), 'utf8')])
if (texts.length > 0) {
  const lua = texts
    .filter(([source]) => source.endsWith('.lua'))
    .map(([source, text]) => [basename(source, '.lua'), text])
  const [, thread = ''] = texts.find(([source]) => source.endsWith('.mjs')) ?? []
  const lines = [
    `const lua = ${JSON.stringify(lua, undefined, 1)}`,
    'export const luaTexts = () => new Map(lua)',
    `const thread = ${JSON.stringify(thread)}`,
    'export const threadSource = () => thread',
  ]
  writeFileSync(join(root, 'dist', `${embedding.module}.js`), `${lines.join('\n')}\n`)
}
await bundleDashboard()
const expected = new Set(expectedOutputs())
for (const file of filesBelow('dist')) if (!expected.has(file)) rmSync(join(root, file))

// Commands can be run as they are, as npm makes them when it installs the package.
for (const file of Object.values(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).bin ?? {}))
  chmodSync(join(root, file), 0o755)

writeFileSync(stamp, hash)
