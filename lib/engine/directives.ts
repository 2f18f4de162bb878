/**
 * What a handler can direct by `again`, `next`, `goto`, `finish` and `cancel`, as data, and the two that unwind the branch. Who follows
 * them is directive-follower.ts.
 */
import type { Expression } from '../flow/expression.js'
import type { Control } from '../flow/types.js'
import { Unreported } from './cancellation.js'

/** A node that a handler wants to run next, and with what. */
export interface Detour {
  readonly expression: Expression
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

/** Whether a handler returned a Control, which is no output. */
export const isControl = (output: unknown): output is Control =>
  typeof output === 'object' &&
  output !== null &&
  Object.hasOwn(CONTROLS, (output as { '~control'?: PropertyKey })['~control'] ?? '')

/** Whether the directives end the whole run. */
export const endsRun = ({ finish, cancel }: Directives): boolean => finish !== undefined || cancel !== undefined

/** A handler ended the run. Unwinds to the holder of the branch. */
export class EndRun extends Error {
  override readonly name = 'EndRun'

  constructor(
    readonly state: 'completed' | 'cancelled',
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

/** Whether what was thrown is no failure, but ends the branch or run, or belongs to nobody any more. */
export const isUnwinding = (thrown: unknown): boolean =>
  thrown instanceof EndRun || thrown instanceof GotoTaken || thrown instanceof Unreported

/** What a step that was dispatched by itself reports after a goto, so that whoever dispatched it leaves out what follows. */
const WENT = 'went'

/** As the output of the step. */
export const reportOfGoto = ({ value }: GotoTaken): object => ({ '~control': WENT, value })

/** The goto that an output reports; undefined for any other output. */
export function gotoTaken(output: unknown): GotoTaken | undefined {
  if (typeof output !== 'object' || output === null || !Object.hasOwn(output, '~control')) return undefined
  const { '~control': control, value } = output as { readonly '~control': unknown; readonly value?: unknown }
  return control === WENT ? new GotoTaken(value) : undefined
}

/** An output as its task gave it, also where it is reported as a goto's. */
export function plainOutput(output: unknown): unknown {
  const went = gotoTaken(output)
  return went === undefined ? output : went.value
}

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
