/** What a lane asks a session to know of its tasks: one rule for both stores and for who looks whether work can be served. */
import type { AskedTasks } from './backend.js'

/**
 * Whether somebody knows enough of these names of code. Of a wide lane that is some name, or none. Names with a colon are those of code that cannot
 * be forwarded, such as `policy:` and the name of a join policy: it must be known in any case.
 */
export const knowsEnough = (has: (name: string) => boolean, tasks: readonly string[], asks: AskedTasks): boolean =>
  asks === 'all'
    ? tasks.every(has)
    : (asks === 'none' || tasks.some(has)) && tasks.every((name) => !name.includes(':') || has(name))
