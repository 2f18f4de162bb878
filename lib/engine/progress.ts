/** What `ctx.progress` takes, wherever the handler runs. */
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'

/** How far a sum of fractions may miss 1. */
const ROUNDING = 1e-9

/** @throws GraflowError INVALID_OPTION */
export function checkFraction(fraction: unknown): void {
  if (typeof fraction === 'number' && Math.abs(fraction - 0.5) <= 0.5 + ROUNDING) return
  throw new GraflowError('INVALID_OPTION', `progress takes a fraction from 0 to 1, got ${describe(fraction)}`)
}
