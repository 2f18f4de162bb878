import { GraflowError } from '../lib/errors.js'

/** The GraflowError that a call throws; anything else, and nothing, fails the test. */
export function thrown(call: () => unknown): GraflowError {
  try {
    call()
  } catch (error) {
    if (error instanceof GraflowError) return error
    throw error
  }
  throw new Error('expected a GraflowError, got none')
}
