/** Whether a run is refused before it is opened: its input goes straight to a declared task, and does not fit. */
import { refusalOfInput } from '../engine/declared-inputs.js'
import type { GraflowError } from '../errors.js'
import { PackedValue } from '../values/packed-arrays.js'
import type { PreparedRun } from './prepare-run.js'
import type { RunOptions } from './types.js'

/** Why it is refused. Undefined where no declaration is asked. */
export const refusalOf = ({ graph, expression, request }: PreparedRun): Promise<GraflowError | undefined> | undefined =>
  expression && refusalOfInput(graph, expression, new PackedValue(request.input))

/** Whether there may be such a run already, which then is given: its input was looked at when it was started. */
export const mayBeKnown = (options: RunOptions | undefined): boolean =>
  options?.id !== undefined || options?.idempotencyKey !== undefined
