/** A task's output on its way out of the process: within its limit, and with errors that name the task. */
import { GraflowError } from '../errors.js'
import { encode, tooLarge } from '../values/codec.js'
import type { ValueWriter } from '../values/value-lists.js'

/** The task whose output it is. */
export interface OutputOf {
  readonly task: string
  /** In the run. */
  readonly place: string
}

/** A task's output as bytes. @throws GraflowError NOT_SERIALISABLE, LIMIT_EXCEEDED */
export function encodeOutput(output: unknown, of: OutputOf, maxBytes: number): Uint8Array {
  try {
    return encode(output, resultOf(of), maxBytes, 'resultBytes')
  } catch (error) {
    throw withTask(error, of)
  }
}

/** The same, as the next item of `writer`. `of` is read only for an error. */
export function writeOutput(writer: ValueWriter, output: unknown, of: OutputOf, maxBytes: number): void {
  let bytes: number
  try {
    bytes = writer.encode(output, maxBytes)
  } catch (error) {
    throw withTask(error, of)
  }
  if (bytes > maxBytes) throw tooLarge(resultOf(of), bytes, maxBytes, 'resultBytes')
}

const resultOf = ({ task, place }: OutputOf): string => `the result of task "${task}" (at ${place})`

function withTask(error: unknown, of: OutputOf): unknown {
  if (!(error instanceof GraflowError) || error.code !== 'NOT_SERIALISABLE') return error
  return new GraflowError('NOT_SERIALISABLE', `${resultOf(of)}: ${error.message}`, {
    details: { ...error.details, task: of.task },
  })
}
