/** Programs that some machines have: tests that need one run where it is, and elsewhere are skipped with the reason. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. @throws Error when it cannot be started */
export function ran(command: string, args: readonly string[], cwd?: string): Ran {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    ...(cwd !== undefined && { cwd }),
    maxBuffer: 2 ** 26,
    timeout: 60_000,
  })
  if (error !== undefined) throw error
  return { status, stdout, stderr }
}

/** Whether a program is on PATH. */
export function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** `it`, where the program is installed; else `it.skip`, which says what is missing. */
export function itWith(program: string, from: string): (title: string, test: () => void) => void {
  if (isInstalled(program)) return it
  return (title, test) => {
    process.stderr.write(`skipped, since there is no ${program} (${from}): ${title}\n`)
    it.skip(`${title} (skipped: no ${program})`, test)
  }
}
