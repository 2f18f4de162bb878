/** A task's output on its way out of the process: within its limit, and with errors that name the task. */
import { GraflowError } from '../errors.js'
import { tooLarge } from '../values/codec.js'
import { packedOf } from '../values/packed-arrays.js'
import type { BranchKeeper } from './branch-keeper.js'
import type { Execution } from './execution.js'

/** The task whose output it is. */
export interface OutputOf {
  readonly task: string
  /** In the run. */
  readonly runPath: string
}

/** A task's output as bytes, also where it is packed already. @throws GraflowError NOT_SERIALISABLE, LIMIT_EXCEEDED */
export function encodeOutput(output: unknown, of: OutputOf, maxBytes: number): Uint8Array {
  try {
    return packedOf(output, resultOf(of), maxBytes, 'resultBytes')
  } catch (error) {
    throw withTask(error, of)
  }
}

/**
 * Reports a branch's output to its keeper. `of` is read only for an error.
 * @throws GraflowError NOT_SERIALISABLE, LIMIT_EXCEEDED: then nothing is reported
 */
export function reportOutput(
  keeper: BranchKeeper,
  execution: Execution,
  output: unknown,
  of: OutputOf,
  maxBytes: number,
): void {
  let bytes: number
  try {
    bytes = keeper.succeeded(execution, output, maxBytes)
  } catch (error) {
    throw withTask(error, of)
  }
  if (bytes > maxBytes) throw tooLarge(resultOf(of), bytes, maxBytes, 'resultBytes')
}

const resultOf = ({ task, runPath }: OutputOf): string => `the result of task "${task}" (at ${runPath})`

function withTask(error: unknown, of: OutputOf): unknown {
  if (!(error instanceof GraflowError) || error.code !== 'NOT_SERIALISABLE') return error
  return new GraflowError('NOT_SERIALISABLE', `${resultOf(of)}: ${error.message}`, {
    details: { ...error.details, task: of.task, place: of.runPath }, // `path` is there already: where in the value the fault is
  })
}
