/** What the server answers, as JSON carries it: the types of the package with dates as texts. */
import type {
  Build,
  DeadLetter as Letter,
  DeadLetterWithInput,
  Page,
  QueueSummary,
  RunSummary,
} from '../lib/producer/operator-types.js'
import type { RunStatus as Status, RunWait, WorkerStatus } from '../lib/producer/types.js'

/** A value after JSON: dates are texts, what is undefined is left out, functions are gone. */
export type Wire<T> = T extends Date
  ? string
  : T extends Error
    ? WireError
    : T extends readonly (infer I)[]
      ? readonly Wire<I>[]
      : T extends object
        ? { readonly [K in keyof T as undefined extends T[K] ? never : K]: Wire<T[K]> } & {
            readonly [K in keyof T as undefined extends T[K] ? K : never]?: Wire<Exclude<T[K], undefined>>
          }
        : T

export interface WireError {
  readonly name?: string
  readonly code?: string
  readonly message: string
  readonly stack?: string
  readonly details?: unknown
  readonly cause?: WireError
  readonly errors?: readonly WireError[]
}

/** Of runs that are not over the server adds how far they are. */
export type Run = Wire<RunSummary> & { readonly done?: number; readonly failed?: number; readonly total?: number }
export type RunStatus = Wire<Status>
export type Wait = Wire<RunWait>
export type Worker = Wire<WorkerStatus>
export type Queue = Wire<QueueSummary>
export type DeadLetter = Wire<Letter>
export type DeadLetterWhole = Wire<DeadLetterWithInput> & {
  /** What JSON cannot say of the input, by pointer. */
  readonly types?: Readonly<Record<string, string>>
  readonly truncated?: boolean
}
/** What commands answer: `changed` is false where it was so already. */
export interface Changed {
  readonly id: string
  readonly changed: boolean
}
export type BuildLine = Wire<Build>
export type PageOf<T> = Pick<Wire<Page<T>>, 'cursor'> & { readonly items: readonly T[] }
