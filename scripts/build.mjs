/**
 * Builds dist/ from lib/, worker/ and bin/: compiles (only what changed), copies what is not TypeScript, removes what has no
 * source any more, and leaves a stamp by which scripts/setup.mjs sees that nothing is to be done. Takes no options.
 */
import './node-version.mjs'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { copiedSources, expectedOutputs, filesBelow, root, sourcesHash } from './dist.mjs'

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
const expected = new Set(expectedOutputs())
for (const file of filesBelow('dist')) if (!expected.has(file)) rmSync(join(root, file))

// Commands can be run as they are, as npm makes them when it installs the package.
for (const file of Object.values(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).bin ?? {}))
  chmodSync(join(root, file), 0o755)

writeFileSync(stamp, hash)
