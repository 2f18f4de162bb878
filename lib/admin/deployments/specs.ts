/**
 * Groups of pipelines and events as people give them: looked at field by field, with an error that names the place. Also takes the names with underscores
 * that other systems have.
 */
import { describe } from '../../describe.js'
import { GraflowError } from '../../errors.js'
import { didYouMean } from '../../nearest.js'
import type {
  PipelineEvent,
  PipelineGroupSpec,
  PipelineSpec,
  PlacementStrategy,
  RouteSpec,
} from '../../producer/deployment-types.js'
import { checkRoutes, EXTERNAL, LONGEST_PATTERN } from './routing.js'

/** A group with all that may be left out. */
export type CheckedGroup = Required<Omit<PipelineGroupSpec, 'pipelines' | 'routes'>> & {
  readonly pipelines: readonly PipelineSpec[]
  readonly routes: readonly RouteSpec[]
}

const MOST_PIPELINES = 100
const MOST_ROUTES = 1_000
const MOST_PATTERNS = 100
const STRATEGIES: readonly PlacementStrategy[] = ['round-robin', 'least-loaded']
/** Of a group: as long as a name, and no control character: lists have a line each. */
const LINE = /^[^\p{Cc}\p{Zl}\p{Zp}]{1,128}$/u
const PIPELINE = /^[A-Za-z0-9_.-]{1,128}$/
const EVENT_TYPE = /^[^\p{Cc}\p{Zl}\p{Zp}]{1,256}$/u

/** What a field may be called beside its name. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  worker_affinity: 'workerAffinity',
  from_pipeline: 'from',
  to_pipeline: 'to',
  event_types: 'eventTypes',
  event_type: 'eventType',
  placement_strategy: 'placement',
}

/** @throws GraflowError INVALID_OPTION that names the place */
export function groupOf(given: unknown): CheckedGroup {
  const {
    name,
    pipelines,
    routes,
    placement = 'round-robin',
  } = fieldsOf(given, 'group', [...['name', 'pipelines', 'routes', 'placement']])
  if (!isText(name, LINE)) throw wrong('name', 'the name of the group, 1 to 128 characters in one line', name)
  const strategy = STRATEGIES.find((known) => known === placement)
  if (strategy === undefined) throw wrong('placement', `one of ${STRATEGIES.join(', ')}`, placement)
  const checked = listOf(pipelines, 'pipelines', 1, MOST_PIPELINES).map((one, i) => pipelineOf(one, `pipelines[${i}]`))
  const names = new Set<string>()
  for (const [i, { name: own }] of checked.entries()) {
    if (names.has(own)) throw wrong(`pipelines[${i}].name`, 'a name that no other pipeline of the group has', own)
    names.add(own)
  }
  const all = routesOf(routes, checked)
  checkRoutes([...names], all)
  return { name, pipelines: checked, routes: all, placement: strategy }
}

function pipelineOf(given: unknown, at: string): PipelineSpec {
  const { name, source, workerAffinity } = fieldsOf(given, at, ['name', 'source', 'workerAffinity'])
  const named = 'the name of a pipeline, 1 to 128 characters of A-Z a-z 0-9 _ . -'
  if (!isText(name, PIPELINE)) throw wrong(`${at}.name`, named, name)
  if (name === EXTERNAL) throw wrong(`${at}.name`, `${named}; ${EXTERNAL} stands for injected events`, name)
  if (typeof source !== 'string') throw wrong(`${at}.source`, 'a flow as text, such as "ingest >> (a | b)"', source)
  if (workerAffinity === undefined || workerAffinity === null) return { name, source }
  if (!isText(workerAffinity, PIPELINE)) throw wrong(`${at}.workerAffinity`, 'the id of a worker', workerAffinity)
  return { name, source, workerAffinity }
}

/** One pipeline needs no route: all events are for it. */
function routesOf(given: unknown, pipelines: readonly PipelineSpec[]): readonly RouteSpec[] {
  const [only, second] = pipelines
  const isAbsent = given === undefined || given === null
  if (isAbsent && only !== undefined && second === undefined)
    return [{ from: EXTERNAL, to: only.name, eventTypes: ['*'] }]
  if (isAbsent)
    throw wrong('routes', 'where events go, such as [{ from: "_external", to: "a", eventTypes: ["*"] }]', given)
  const names = pipelines.map(({ name }) => name)
  return listOf(given, 'routes', 1, MOST_ROUTES).map((one, i) => routeOf(one, `routes[${i}]`, names))
}

function routeOf(given: unknown, at: string, names: readonly string[]): RouteSpec {
  const { from, to, eventTypes } = fieldsOf(given, at, ['from', 'to', 'eventTypes'])
  const known = (field: string, value: unknown, among: readonly string[]): string => {
    const found = among.find((name) => name === value)
    if (found !== undefined) return found
    const meant = typeof value === 'string' ? didYouMean(value, among) : ''
    throw wrong(
      `${at}.${field}`,
      `one of ${among.slice(0, 20).join(', ')}${among.length > 20 ? ', …' : ''}`,
      value,
      meant,
    )
  }
  return {
    from: known('from', from, [EXTERNAL, ...names]),
    to: known('to', to, names),
    eventTypes: listOf(eventTypes, `${at}.eventTypes`, 1, MOST_PATTERNS).map((pattern, i) => {
      if (isText(pattern, EVENT_TYPE) && pattern.length <= LONGEST_PATTERN) return pattern
      throw wrong(
        `${at}.eventTypes[${i}]`,
        `the type of an event, or a pattern such as "Sensor*", 1 to ${LONGEST_PATTERN} characters in one line`,
        pattern,
      )
    }),
  }
}

/** @throws GraflowError INVALID_OPTION */
export function eventOf(given: unknown): Required<PipelineEvent> {
  const { eventType, fields = {} } = fieldsOf(given, 'event', ['eventType', 'fields'])
  if (isText(eventType, EVENT_TYPE)) return { eventType, fields }
  throw wrong('eventType', 'the type of the event, 1 to 256 characters in one line', eventType)
}

/** The fields of an object by their names here. */
function fieldsOf(given: unknown, at: string, names: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw wrong(at, `an object with ${names.join(', ')}`, given)
  const found: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  for (const [key, value] of Object.entries(given)) {
    const name = OTHER_NAMES[key] ?? key
    if (!names.includes(name)) {
      const fault = `there is no field ${JSON.stringify(key.slice(0, 64))}${didYouMean(key, names)}; the fields are ${names.join(', ')}`
      throw new GraflowError('INVALID_OPTION', `${at}: ${fault}`, { details: { option: `${at}.${key.slice(0, 64)}` } })
    }
    if (found[name] !== undefined) throw wrong(`${at}.${name}`, 'one value', 'two, under two names')
    found[name] = value
  }
  return found
}

function listOf(given: unknown, at: string, least: number, most: number): readonly unknown[] {
  if (!Array.isArray(given) || given.length < least) throw wrong(at, `a list of ${least} to ${most}`, given)
  if (given.length <= most) return given as readonly unknown[]
  throw new GraflowError('LIMIT_EXCEEDED', `${at}: expected at most ${most}, got ${given.length}`, {
    details: { option: at, most },
  })
}

const isText = (given: unknown, form: RegExp): given is string => typeof given === 'string' && form.test(given)

const wrong = (option: string, expected: string, got: unknown, meant = ''): GraflowError =>
  new GraflowError('INVALID_OPTION', `${option}: expected ${expected}, got ${describe(got)}${meant}`, {
    details: { option },
  })
