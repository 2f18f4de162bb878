/** What a command gets from its process: where it writes, what it reads, when it is to end. Tests give it another. */
import type { LoadedModule } from '../lib/modules/task-modules.js'
import type { Given, Surroundings } from './settings.js'

/** An output: a terminal, a file or a pipe. */
export interface Screen {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

export interface Host {
  readonly env: Surroundings['env']
  readonly folder: string
  /** Results. */
  readonly out: Screen
  /** Progress, warnings and errors. */
  readonly err: Screen
  /** Whether nobody reads the results any more, as behind `| head`. */
  readonly isUnread?: () => boolean
  /** Aborts when the command is told to end. */
  readonly signal: AbortSignal
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Calls `fn` with each key that is pressed on the terminal of standard input; returns what ends that. Absent where there is none. */
  readonly onKey?: (fn: (key: string) => void) => () => void
  /** All of standard input. */
  readonly readInput: () => Promise<string>
  /** Loads task modules. @throws GraflowError TASK_MODULE, DUPLICATE_TASK */
  readonly load: (paths: readonly string[]) => Promise<readonly LoadedModule[]>
}

/** What a command does with its settings. @returns its exit code */
export type Run = (given: Given, host: Host) => Promise<number>
