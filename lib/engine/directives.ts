/**
 * What a handler can direct by `again`, `next`, `goto`, `finish` and `cancel`, as data, and the two that unwind the branch. Who follows
 * them is directive-follower.ts.
 */
import type { Expression } from '../flow/expression.js'
import type { Control } from '../flow/types.js'
import { Went } from '../values/went.js'
import { Unreported } from './cancellation.js'

/** A node that a handler wants to run next, and with what. */
export interface Detour {
  readonly expression: Expression
  /** Captured (values/captured.ts), as all values of directives. */
  readonly input: unknown
  readonly hasInput: boolean
}

/** What one start of a handler directed; the engine follows it when the handler has returned. */
export interface Directives {
  readonly next: readonly Detour[]
  readonly goto: Detour | undefined
  readonly again: { readonly input: unknown } | undefined
  readonly finish: { readonly value: unknown } | undefined
  readonly cancel: { readonly reason: string } | undefined
}

/** What the context's methods return, so that a handler can return it. */
export const CONTROLS = {
  again: Object.freeze({ '~control': 'again' }),
  next: Object.freeze({ '~control': 'next' }),
  goto: Object.freeze({ '~control': 'goto' }),
  finish: Object.freeze({ '~control': 'finish' }),
  cancel: Object.freeze({ '~control': 'cancel' }),
} as const

const ALL_CONTROLS: ReadonlySet<unknown> = new Set(Object.values(CONTROLS))

/** Whether a handler returned a Control, which is no output. What only looks like one is. */
export const isControl = (output: unknown): output is Control => ALL_CONTROLS.has(output)

/** Whether the directives end the whole run. */
export const endsRun = ({ finish, cancel }: Directives): boolean => finish !== undefined || cancel !== undefined

/** A handler ended the run. Unwinds to the holder of the branch. */
export class EndRun extends Error {
  override readonly name = 'EndRun'

  constructor(
    readonly state: 'completed' | 'cancelled',
    /** Captured if it completed, else the reason. */
    readonly value: unknown,
  ) {
    super('a handler ended the run')
  }
}

/** A handler took a goto: the rest of the branch is left out. Unwinds to the branch, whose result `value` is. */
export class GotoTaken extends Error {
  override readonly name = 'GotoTaken'

  constructor(readonly value: unknown) {
    super('a handler took a goto')
  }
}

/** A flow failed that a handler went on with: what failed it, which is final for the handler's task. */
export class DetourFailed extends Error {
  override readonly name = 'DetourFailed'

  constructor(readonly thrown: unknown) {
    super('a detour failed')
  }
}

/** Whether what was thrown is no failure, but ends the branch or run, or was thrown where this process does not hold the branch any more. */
export const isUnwinding = (thrown: unknown): boolean =>
  thrown instanceof EndRun || thrown instanceof GotoTaken || thrown instanceof Unreported

/** As the output of a step that was dispatched by itself. No output of a handler is one: it travels as a kind of value of its own. */
export const reportOfGoto = ({ value }: GotoTaken): Went => new Went(value)

/** The goto that an output reports; undefined for any other output. */
export const gotoTaken = (output: unknown): GotoTaken | undefined =>
  output instanceof Went ? new GotoTaken(output.value) : undefined

/** An output as its task gave it, also where it is reported as a goto's. */
export const plainOutput = (output: unknown): unknown => (output instanceof Went ? output.value : output)

/** A goto inside `work` is its output, reported as such. */
export async function reportingGoto(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work()
  } catch (thrown) {
    if (thrown instanceof GotoTaken) return reportOfGoto(thrown)
    throw thrown
  }
}

/** A goto inside `work` ends the branch here, with the result of the goto's target. */
export async function asBranch(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work()
  } catch (thrown) {
    if (thrown instanceof GotoTaken) return thrown.value
    throw thrown
  }
}
