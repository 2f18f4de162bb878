/** Runs an example as people do: in a process of its own, against the package as it is built. */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'

export const root = join(__dirname, '../..')

export interface Ended {
  /** The exit code, or the signal that ended it. */
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

/** Sees to it that dist/ is what the sources say; says and does nothing when it is. */
export function build(): void {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/setup.mjs'], { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`the set-up failed: ${stderr}`)
}

export interface ExampleOptions {
  /** Gets what was written so far, and what sends the process a signal. */
  readonly onStderr?: (written: string, kill: (signal: NodeJS.Signals) => void) => void
  /** Beside the variables of this process. */
  readonly env?: Readonly<Record<string, string>>
}

export function runExample(
  file: string,
  words: readonly string[] = [],
  { onStderr = () => undefined, env: own = {} }: ExampleOptions = {},
): Promise<Ended> {
  const { NO_COLOR: _, FORCE_COLOR: __, ...env } = process.env
  const child = spawn(process.execPath, ['--import', 'tsx', `examples/${file}`, ...words], {
    cwd: root,
    env: { ...env, ...own },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
    onStderr(stderr, (signal) => child.kill(signal))
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      resolve({ code: code ?? signal ?? 'gone', stdout, stderr })
    })
  })
}
