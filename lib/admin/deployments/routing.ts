/** Which pipelines get an event, by the patterns of the routes; and that no event can go through a group without end. */
import { GraflowError } from '../../errors.js'
import type { RouteSpec } from '../../producer/deployment-types.js'

/** Where injected events come from. */
export const EXTERNAL = '_external'
/** Characters of a pattern. */
export const LONGEST_PATTERN = 256
/** Pipelines behind each other, and runs that one event can start. */
const DEEPEST = 32
const MOST_RUNS = 1_000

/**
 * Whether a pattern fits a whole text: `*` stands for any characters, also none, all others for themselves. Takes time with the product of both lengths at
 * most: no pattern makes it slow.
 */
export function matches(pattern: string, text: string): boolean {
  let [p, t] = [0, 0]
  // Where to go on when what follows the last star does not fit: the star takes one character more.
  let [star, taken] = [-1, 0]
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p++
      taken = t
    } else if (pattern[p] === text[t]) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++taken
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

/** The pipelines that an event of this type from there goes to, each once, in the order of the routes. */
export function targetsOf(routes: readonly RouteSpec[], from: string, eventType: string): readonly string[] {
  const fitting = routes.filter(
    (route) => route.from === from && route.eventTypes.some((pattern) => matches(pattern, eventType)),
  )
  return [...new Set(fitting.map(({ to }) => to))]
}

/**
 * Whatever types events have, each ends: no circles, not too long a way, and not too many runs.
 * @throws GraflowError INVALID_OPTION, LIMIT_EXCEEDED
 */
export function checkRoutes(pipelines: readonly string[], routes: readonly RouteSpec[]): void {
  const next = new Map<string, Set<string>>([EXTERNAL, ...pipelines].map((name) => [name, new Set<string>()]))
  for (const { from, to } of routes) next.get(from)?.add(to)
  const seen = new Map<string, { readonly runs: number; readonly depth: number }>()
  const way: string[] = []
  const look = (name: string): { readonly runs: number; readonly depth: number } => {
    const known = seen.get(name)
    if (known !== undefined) return known
    if (way.includes(name)) throw circle([...way.slice(way.indexOf(name)), name])
    way.push(name)
    let [runs, depth] = [0, 0]
    for (const one of next.get(name) ?? []) {
      const below = look(one)
      runs += 1 + below.runs
      depth = Math.max(depth, 1 + below.depth)
    }
    way.pop()
    seen.set(name, { runs, depth })
    return { runs, depth }
  }
  for (const name of pipelines) look(name)
  const { runs, depth } = look(EXTERNAL)
  if (runs > MOST_RUNS) throw tooMuch(`start at most ${MOST_RUNS} runs, it could start ${runs}`)
  if (depth > DEEPEST)
    throw tooMuch(`go through at most ${DEEPEST} pipelines one after the other, it could through ${depth}`)
}

const circle = (names: readonly string[]): GraflowError =>
  new GraflowError(
    'INVALID_OPTION',
    `routes: expected no circle, got ${names.join(' → ')}: an event could go round it for ever; take a route out, or loop inside a pipeline`,
    { details: { option: 'routes', circle: names } },
  )

const tooMuch = (fault: string): GraflowError =>
  new GraflowError('LIMIT_EXCEEDED', `routes: one event may ${fault}: take routes out, or deploy several groups`, {
    details: { option: 'routes' },
  })
