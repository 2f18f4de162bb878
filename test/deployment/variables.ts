/** Environment variables that programs read. */
import { EXPORTER_OPTIONS, WORKER_OPTIONS } from '../../lib/options.js'

const namesOf = (table: Readonly<Record<string, { readonly env?: readonly string[] }>>): ReadonlySet<string> =>
  new Set(Object.values(table).flatMap(({ env = [] }) => [...env, ...env.map((name) => `${name}_FILE`)]))

/** A worker's. */
export const WORKER_VARIABLES = namesOf(WORKER_OPTIONS)

/** The exporter's. */
export const EXPORTER_VARIABLES = namesOf(EXPORTER_OPTIONS)
