/** What a wait for a signal takes, in a flow and in a handler, and what it gives. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { WaitData } from './node-options.js'

/** What `waitFor(name, options)` takes. `S`: the schema. `T`: the value past the time. */
export interface WaitOptions<S, T> extends WaitData {
  /** Checks and transforms the payload, and types what the wait gives. A payload that it refuses answers nothing. Default: none. */
  readonly schema?: S
  /** What the wait gives once its time is over: plain data. Default: it fails with TIMEOUT. */
  readonly onTimeout?: T
}

/** What a wait with this schema and this value past its time gives. */
export type Payload<S, T> =
  | ([S] extends [StandardSchemaV1] ? ([S] extends [never] ? unknown : StandardSchemaV1.InferOutput<S>) : unknown)
  | T
