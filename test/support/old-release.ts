/** The package of an earlier commit, for tests of two releases on one Redis: its worker, and programs that find it when they import graflow. */
import { spawnSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('../..', import.meta.url))

/** The folder of the package; it is made where it is not there yet, which takes seconds. */
export function oldRelease(commit: string): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/old-package.mjs', commit], {
    cwd: project,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`the package of ${commit} could not be made: ${stderr}`)
  return stdout.trim()
}

/** A compiled program of the tests as it runs on another package: what it imports beside it comes with it. */
export function inRelease(program: string, release: string | undefined): string {
  if (release === undefined) return program
  cpSync(join(project, '.cache/test-programs'), join(release, '.cache/test-programs'), { recursive: true })
  return join(release, relative(project, program))
}
