/** Checks the types of the whole project, then of the dashboard, then of every project of type tests (test/types/tsconfig*.json). Takes no options. */
import './node-version.mjs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { filesBelow, root } from './dist.mjs'

const typeTests = filesBelow('test/types').filter((file) => /^test\/types\/tsconfig[^/]*\.json$/.test(file))
let hasFailed = false
for (const project of ['tsconfig.json', 'dashboard/tsconfig.json', ...typeTests]) {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { status } = spawnSync(process.execPath, [tsc, '-p', project, '--noEmit'], { cwd: root, stdio: 'inherit' })
  if (status !== 0) hasFailed = true
}
process.exitCode = hasFailed ? 1 : 0
