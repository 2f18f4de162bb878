/** Programs of the repository: examples and benchmarks, each in a process of its own. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { compiled } from './compiled.js'
import { Child, endChildren } from './processes.js'

afterAll(endChildren)

export const root = join(__dirname, '../..')

export interface Ended {
  /** The exit code, or the signal that ended it. */
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
  /** Both outputs, as they came. */
  readonly printed: string
}

/** Sees to it that dist/ is what the sources say; says and does nothing when it is. */
export function build(): void {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/setup.mjs'], { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`the set-up failed: ${stderr}`)
}

export interface ProgramOptions {
  /** Gets what was written so far, and what sends the process a signal. */
  readonly onStderr?: (written: string, kill: (signal: NodeJS.Signals) => void) => void
  /** Runs the TypeScript itself, as people do, which takes a second more; else it is compiled before. */
  readonly isAsWritten?: boolean
  /** Beside the variables of this process. */
  readonly env?: Readonly<Record<string, string>>
}

/** @param file below the project's root, such as `bench/run.ts` */
export async function runProgram(
  file: string,
  words: readonly string[] = [],
  { onStderr, isAsWritten = false, env = {} }: ProgramOptions = {},
): Promise<Ended> {
  const program = isAsWritten ? ['--import', 'tsx', file] : [compiled(join(root, file))]
  const child = new Child({ name: file, args: [...program, ...words], env })
  if (onStderr !== undefined) child.onOutput(() => onStderr(child.stderr, (signal) => child.signal(signal)))
  const { code, signal } = await child.closed
  return { code: code ?? signal ?? 'gone', stdout: child.stdout, stderr: child.stderr, printed: child.output }
}

/** @param file below `examples` */
export const runExample = (file: string, words?: readonly string[], options?: ProgramOptions): Promise<Ended> =>
  runProgram(`examples/${file}`, words, options)
