/**
 * What people decide about steps and branches. A decision about a step is kept as an output at a mark beside it, which whoever comes to the step
 * finds; one about a branch is the branch's outcome. Hides how both are written.
 */
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import { decode, encode, encodeFailure } from '../values/codec.js'
import { messageOf } from '../values/error-record.js'

/** Below the path of a step. No segment of a path is called so. */
const MARK = '/!h'

/** What a person may decide. */
export type Decided = { readonly succeed: unknown } | { readonly fail: unknown } | { readonly skip: true }

export const markOf = (path: string): string => `${path}${MARK}`

/** The outcome of a branch that a person decides; its path is for messages. @throws GraflowError NOT_SERIALISABLE, LIMIT_EXCEEDED */
export function outcomeByHand(path: string, decided: Decided, resultBytes: number): Uint8Array {
  if ('succeed' in decided) return encode(decided.succeed, `the result given for ${path}`, resultBytes, 'resultBytes')
  return encodeFailure('fail' in decided ? failedByHand(path, decided.fail) : skippedByHand(path))
}

/** What is saved for a step that a person decides. @throws GraflowError as above */
export function markByHand(path: string, decided: Decided, resultBytes: number): Uint8Array {
  if ('skip' in decided) return encode({ as: 'skip' })
  const as = 'succeed' in decided ? 'succeed' : 'fail'
  return encode({ as, value: outcomeByHand(path, decided, resultBytes) })
}

/** What a step gives for which this is saved, with this input. @throws GraflowError the one that it was to fail with */
export function decidedOutput(mark: Uint8Array, input: unknown): unknown {
  const { as, value } = decode(mark) as { readonly as: string; readonly value?: Uint8Array } // as `markByHand` wrote it
  if (value === undefined) return input
  const decided = decode(value)
  if (as === 'fail') throw decided
  return decided
}

/** Whether what is saved for a step skips it. */
export const isSkipMark = (mark: Uint8Array): boolean => (decode(mark) as { readonly as?: unknown }).as === 'skip' // as above

/** Whether a saved output is a decision by which its step fails: the next try is not to meet it. */
export const isFailureMark = (path: string, value: Uint8Array): boolean =>
  path.endsWith(MARK) && (decode(value) as { readonly as?: unknown }).as === 'fail' // as above

/** Whether a branch ended with this error since a person skipped it. */
export const isSkippedByHand = ({ code, details }: GraflowError): boolean =>
  code === 'SKIPPED' && details['byHand'] === true

function failedByHand(path: string, given: unknown): GraflowError {
  const why = given instanceof Error ? messageOf(given) : typeof given === 'string' ? given : describe(given)
  const options = { details: { path, byHand: true }, ...(given instanceof Error && { cause: given }) }
  return new GraflowError('TASK_FAILED', `${path} was failed by hand: ${why}`, options)
}

const skippedByHand = (path: string): GraflowError =>
  new GraflowError('SKIPPED', `${path} was skipped by hand`, { details: { path, byHand: true } })
