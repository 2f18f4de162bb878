/** Environment variables that programs read. */
import { WORKER_OPTIONS } from '../../lib/options.js'

const namesOf = (table: Readonly<Record<string, { readonly env?: readonly string[] }>>): ReadonlySet<string> =>
  new Set(Object.values(table).flatMap(({ env = [] }) => [...env, ...env.map((name) => `${name}_FILE`)]))

/** A worker's. */
export const WORKER_VARIABLES = namesOf(WORKER_OPTIONS)

/** The exporter's: a worker's connection and metrics port, and the key that it demands. */
export const EXPORTER_VARIABLES: ReadonlySet<string> = new Set([...WORKER_VARIABLES, 'GRAFLOW_API_KEY'])
