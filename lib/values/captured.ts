/**
 * Values as they were when a handler gave them: what it changes in an object afterwards reaches nobody. What cannot change is kept as it is, all else
 * as its bytes. A value that cannot be carried is refused where it is used, since a later directive may leave it unused.
 */
import { GraflowError } from '../errors.js'
import { encode } from './codec.js'
import { PackedValue, unpacked } from './packed-arrays.js'

/** Stands for a value that cannot be carried. */
class RefusedValue {
  constructor(readonly error: unknown) {}
}

/** The value as it is now, for `given` or `givenPacked`. @param what names it in an error */
export function captured(value: unknown, what: () => string): unknown {
  const mayChange = (typeof value === 'object' && value !== null) || typeof value === 'function'
  if ((!mayChange && typeof value !== 'symbol') || value instanceof PackedValue) return value
  try {
    return new PackedValue(encode(value))
  } catch (error) {
    return new RefusedValue(ofWhom(error, what()))
  }
}

/** A captured value; packed, if it was. @throws GraflowError NOT_SERIALISABLE */
export function givenPacked(value: unknown): unknown {
  if (value instanceof RefusedValue) throw value.error
  return value
}

/** A captured value as bytes. @throws GraflowError NOT_SERIALISABLE */
export function givenBytes(value: unknown): Uint8Array {
  const packed = givenPacked(value)
  return packed instanceof PackedValue ? packed.bytes : encode(packed)
}

/** A captured value, a new one at every call. @throws GraflowError NOT_SERIALISABLE */
export const given = (value: unknown): unknown => unpacked(givenPacked(value))

/** An error that says whose value it is about; any other as it is. */
export function ofWhom(error: unknown, what: string): unknown {
  if (!(error instanceof GraflowError) || error.code !== 'NOT_SERIALISABLE') return error
  return new GraflowError('NOT_SERIALISABLE', `${what}: ${error.message}`, { details: error.details })
}
