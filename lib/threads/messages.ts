/** What this process and its threads say to each other. Values are packed; whoever sends one gives its bytes away. */
import type { ThreadEnd, ThreadFacts, ThreadNote, ThreadRequest } from '../engine/thread-runner.js'

/** What a thread is started with. */
export interface ThreadData {
  /** Absolute paths. */
  readonly modules: readonly string[]
  /** How long one of them may take to load. */
  readonly timeoutMs: number
}

/** To a thread. `call` counts the starts of a thread, so that what comes late is known as late. */
export type ToThread =
  | {
      readonly kind: 'run'
      readonly call: number
      readonly task: string
      readonly input: Uint8Array
      readonly facts: ThreadFacts
    }
  /** The signal fires; the reason is a packed error. */
  | { readonly kind: 'abort'; readonly call: number; readonly reason: Uint8Array }
  | { readonly kind: 'answer'; readonly call: number; readonly id: number; readonly value: Uint8Array }
  | { readonly kind: 'refusal'; readonly call: number; readonly id: number; readonly error: Uint8Array }

/** From a thread. */
export type FromThread =
  /** Its modules are loaded. */
  | { readonly kind: 'ready' }
  /** They cannot be. */
  | { readonly kind: 'unusable'; readonly error: Uint8Array }
  | { readonly kind: 'ended'; readonly call: number; readonly end: ThreadEnd }
  | { readonly kind: 'failed'; readonly call: number; readonly error: Uint8Array; readonly isFromHandler: boolean }
  | { readonly kind: 'request'; readonly call: number; readonly id: number; readonly request: ThreadRequest }
  | { readonly kind: 'note'; readonly call: number; readonly note: ThreadNote }
