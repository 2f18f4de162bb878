/**
 * Capabilities that Graflow gives to sessions itself, beside those that users name: what a session can read, and which build it is. Their names
 * have a colon, which no name of a user may have. A group or run that needs one is left alone by every session without it, whatever its release:
 * all releases compare capabilities by name.
 */

/** What this release writes and reads beside what every release of the same `v` of `T:m` does; each new layout is announced beside those before. */
export const LAYOUT = 5
const layout = (number: number): string => `layout:${number}`
/** Needed for work that a release before this layout could not do: graphs of version 2, runs that were opened again. */
export const LAYOUT_CAPABILITY = layout(4)
/** The same of graphs of version 3. */
export const LABELS_CAPABILITY = layout(5)
const LAYOUTS: readonly string[] = [LAYOUT_CAPABILITY, LABELS_CAPABILITY]

/** Whether a capability stands for what a session can read. */
export const isLayout = (capability: string): boolean => capability.startsWith('layout:')

/** Whether a capability is one of these. */
export const isReserved = (capability: string): boolean => capability.includes(':')

const NONE: readonly string[] = Object.freeze([])

/** Those of these among capabilities that some work requires: whatever the work dispatches requires them, too. */
export const reservedIn = (requires: readonly string[]): readonly string[] =>
  requires.some(isReserved) ? requires.filter(isReserved) : NONE

/** Capabilities without these, for people. */
export const ownOf = (capabilities: readonly string[] | 'all'): readonly string[] | 'all' =>
  capabilities === 'all' ? capabilities : capabilities.filter((name) => !isReserved(name))

const BUILD = 'build:'

/**
 * Had by sessions that take only branches which are one task: whoever runs their tasks cannot run what stands between tasks. No work requires it.
 * A session with it takes from no lane that it does not know all tasks of, since it could not forward the others.
 */
export const ONLY_TASKS = 'only:tasks'

/** Whether a session with these capabilities takes only branches that are one task. */
export const takesOnlyTasks = (capabilities: readonly string[] | ReadonlySet<string> | 'all'): boolean =>
  capabilities !== 'all' &&
  (Array.isArray(capabilities)
    ? capabilities.includes(ONLY_TASKS)
    : (capabilities as ReadonlySet<string>).has(ONLY_TASKS))

/** Had by the sessions of a build, and needed for runs that are pinned to it. */
export const buildCapability = (buildId: string): string => `${BUILD}${buildId}`

/** The build that a capability stands for; undefined for any other. */
export const buildOf = (capability: string): string | undefined =>
  capability.startsWith(BUILD) ? capability.slice(BUILD.length) : undefined

/** The capabilities of a session: its own, as its user names them, and these. */
export const withReserved = (own: readonly string[] | 'all', buildId: string | undefined): readonly string[] | 'all' =>
  own === 'all' ? own : [...own, ...LAYOUTS, ...(buildId === undefined ? [] : [buildCapability(buildId)])]

/** A list of both, sorted and without repetition; `a` itself where `b` adds nothing. */
export function together(a: readonly string[], b: readonly string[]): readonly string[] {
  return b.every((name) => a.includes(name)) ? a : [...new Set([...a, ...b])].sort()
}
