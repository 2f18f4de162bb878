/** The error that a call or a promise ends with, for a test that looks at more of it than its message. */
import { inspect } from 'node:util'
import { GraflowError } from '../../lib/errors.js'

/** The GraflowError that a call throws; anything else, and nothing, fails the test. */
export function thrown(call: () => unknown): GraflowError {
  let value: unknown
  try {
    value = call()
  } catch (error) {
    return graflowError(error)
  }
  throw new Error(`expected a GraflowError, got ${inspect(value)}`)
}

/** The GraflowError that a promise rejects with; anything else, and a value, fails the test. */
export async function failureOf(promise: Promise<unknown>): Promise<GraflowError> {
  const error: unknown = await promise.then(
    (value) => {
      throw new Error(`expected a failure, got ${inspect(value)}`)
    },
    (reason: unknown) => reason,
  )
  return graflowError(error)
}

function graflowError(error: unknown): GraflowError {
  if (error instanceof GraflowError) return error
  throw new Error('expected a GraflowError', { cause: error })
}
