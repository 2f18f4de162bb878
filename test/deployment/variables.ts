/** Environment variables that programs read. */
import { SERVE_OPTIONS } from '../../bin/commands/options.js'
import { EXPORTER_OPTIONS, type OptionTable, WORKER_OPTIONS } from '../../lib/options.js'

const namesOf = (table: OptionTable): ReadonlySet<string> =>
  new Set(Object.values(table).flatMap(({ env = [] }) => [...env, ...env.map((name) => `${name}_FILE`)]))

/** A worker's. */
export const WORKER_VARIABLES = namesOf(WORKER_OPTIONS)

/** The exporter's. */
export const EXPORTER_VARIABLES = namesOf(EXPORTER_OPTIONS)

/** The control plane's. */
export const SERVER_VARIABLES = namesOf(SERVE_OPTIONS)
