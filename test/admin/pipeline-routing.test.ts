/** Patterns, routes, places, and what people write of groups of pipelines: without a store. */
import { eventOfResult } from '../../lib/admin/deployments/journey.js'
import { isMisplaced, placeOf, type Candidate, type PlacingState } from '../../lib/admin/deployments/placement.js'
import { matches, targetsOf } from '../../lib/admin/deployments/routing.js'
import { eventOf, groupOf } from '../../lib/admin/deployments/specs.js'
import { thrown } from '../support/captured-errors.js'

describe('patterns of event types', () => {
  it.each([
    ['*', 'anything', true],
    ['*', '', true],
    ['Sensor*', 'SensorReading', true],
    ['Sensor*', 'Sensor', true],
    ['Sensor*', 'sensorReading', false],
    ['Sensor*', 'ASensor', false],
    ['SensorReading', 'SensorReading', true],
    ['SensorReading', 'SensorReadings', false],
    ['*Reading', 'SensorReading', true],
    ['S*R*g', 'SensorReading', true],
    ['S*R*x', 'SensorReading', false],
    ['a.c', 'abc', false],
    ['[a]', 'a', false],
    ['', '', true],
    ['', 'a', false],
  ])('%j and %j: %s', (pattern, text, fits) => {
    expect(matches(pattern, text)).toBe(fits)
  })

  it('FT-Q11: take no longer than the product of both lengths, whatever they are', () => {
    const began = performance.now()
    for (let i = 0; i < 50; i++) expect(matches('*a'.repeat(128), `${'a'.repeat(256)}b`)).toBe(false)
    expect(performance.now() - began).toBeLessThan(2_000)
    const fault = thrown(() => group({ routes: [{ from: '_external', to: 'a', eventTypes: ['*a'.repeat(5_000)] }] }))
    expect(fault).toMatchObject({ code: 'INVALID_OPTION', details: { option: 'routes[0].eventTypes[0]' } })
  })
})

describe('routes', () => {
  it('lead to every pipeline that one of them names, once', () => {
    const routes = [
      { from: '_external', to: 'b', eventTypes: ['S*'] },
      { from: '_external', to: 'a', eventTypes: ['X', 'Sen*'] },
      { from: '_external', to: 'b', eventTypes: ['*'] },
      { from: 'a', to: 'c', eventTypes: ['*'] },
    ]
    expect(targetsOf(routes, '_external', 'Sensor')).toEqual(['b', 'a'])
    expect(targetsOf(routes, '_external', 'X')).toEqual(['a', 'b'])
    expect(targetsOf(routes, 'b', 'X')).toEqual([])
    expect(targetsOf(routes, 'a', 'X')).toEqual(['c'])
  })
})

describe('the event that a result is', () => {
  it.each([
    [5, { eventType: 'In', input: 5 }],
    [{ a: 1 }, { eventType: 'In', input: { a: 1 } }],
    [
      { eventType: 'Out', fields: { a: 1 } },
      { eventType: 'Out', input: { a: 1 } },
    ],
    [
      { eventType: 'Out', a: 1 },
      { eventType: 'Out', input: { eventType: 'Out', a: 1 } },
    ],
    [
      { event_type: 'Out', fields: 3 },
      { eventType: 'Out', input: 3 },
    ],
    [
      { eventType: 7, fields: 3 },
      { eventType: 'In', input: { eventType: 7, fields: 3 } },
    ],
    [['x'], { eventType: 'In', input: ['x'] }],
    [null, { eventType: 'In', input: null }],
  ])('%j', (result, event) => {
    expect(eventOfResult(result, 'In')).toEqual(event)
  })
})

const worker = (id: string, facts: Partial<Candidate> = {}): readonly [string, Candidate] => [
  id,
  { id, tasks: new Set(['a', 'b']), inFlight: 0, isLeaving: false, ...facts },
]
const state = (): PlacingState => ({ cursor: '', placed: new Map() })
const pipeline = (affinity?: string, tasks = ['a']) => ({ name: 'p', tasks, affinity })

describe('places', () => {
  it('are taken in turn, and go on in turn with the next group', () => {
    const workers = new Map([worker('1'), worker('2'), worker('3')])
    const going = state()
    const places = Array.from({ length: 5 }, () => placeOf(pipeline(), workers, 'round-robin', going))
    expect(places).toEqual(['1', '2', '3', '1', '2'])
    workers.delete('3')
    expect(placeOf(pipeline(), workers, 'round-robin', going)).toBe('1')
  })

  it('are on the worker that has the fewest pipelines and branches', () => {
    const workers = new Map([worker('1', { inFlight: 3 }), worker('2'), worker('3', { inFlight: 1 })])
    const going = { cursor: '', placed: new Map([['2', 1]]) }
    const places = Array.from({ length: 4 }, () => placeOf(pipeline(), workers, 'least-loaded', going))
    expect(places).toEqual(['2', '3', '2', '3'])
  })

  it('are where a pipeline wants to be, else as for any other', () => {
    const workers = new Map([worker('1'), worker('2')])
    expect(placeOf(pipeline('2'), workers, 'round-robin', state())).toBe('2')
    expect(placeOf(pipeline('9'), workers, 'round-robin', state())).toBe('1')
    expect(placeOf(pipeline('2'), new Map(), 'round-robin', state())).toBeUndefined()
  })

  it('are with those that know most of the tasks, and with none that leaves', () => {
    const workers = new Map([worker('1', { isLeaving: true }), worker('2', { tasks: new Set(['b']) }), worker('3')])
    expect(placeOf(pipeline(undefined, ['a', 'b']), workers, 'round-robin', state())).toBe('3')
    expect(placeOf(pipeline('1'), workers, 'round-robin', state())).toBe('3')
    expect(placeOf(pipeline(), new Map([worker('1', { isLeaving: true })]), 'round-robin', state())).toBe('1')
  })

  it('are not right where the worker is lost or leaves, or the wanted one is back', () => {
    const workers = new Map([worker('1'), worker('2')])
    expect(isMisplaced(pipeline(), '1', workers)).toBe(false)
    expect(isMisplaced(pipeline(), '9', workers)).toBe(true)
    expect(isMisplaced(pipeline(), undefined, workers)).toBe(true)
    expect(isMisplaced(pipeline(), undefined, new Map())).toBe(false)
    expect(isMisplaced(pipeline('9'), '1', workers)).toBe(false)
    expect(isMisplaced(pipeline('2'), '1', workers)).toBe(true)
    workers.set(...worker('1', { isLeaving: true }))
    expect(isMisplaced(pipeline(), '1', workers)).toBe(true)
    workers.set(...worker('2', { isLeaving: true }))
    expect(isMisplaced(pipeline(), '1', workers)).toBe(false)
  })
})

const A = { name: 'a', source: 'x' }
const B = { name: 'b', source: 'y' }
const ROUTE = { from: '_external', to: 'a', eventTypes: ['*'] }
const group = (facts: object) => groupOf({ name: 'g', pipelines: [A], routes: [ROUTE], ...facts })
const circle = (...names: string[]) =>
  names.slice(1).map((to, i) => ({ from: names[i] ?? '', to, eventTypes: [`only-${i}`] }))

describe('a group as people write it', () => {
  it('has defaults', () => {
    expect(groupOf({ name: 'g', pipelines: [A] })).toEqual({
      ...{ name: 'g', pipelines: [A], placement: 'round-robin' },
      routes: [ROUTE],
    })
  })

  it('may have the names of other systems', () => {
    const given = {
      name: 'g',
      pipelines: [{ ...A, worker_affinity: 'w-1' }],
      routes: [{ from_pipeline: '_external', to_pipeline: 'a', event_types: ['*'] }],
      placement_strategy: 'least-loaded',
    }
    expect(groupOf(given)).toEqual({
      ...{ name: 'g', placement: 'least-loaded', routes: [ROUTE] },
      pipelines: [{ ...A, workerAffinity: 'w-1' }],
    })
    expect(eventOf({ event_type: 'E', fields: 5 })).toEqual({ eventType: 'E', fields: 5 })
    expect(eventOf({ eventType: 'E' })).toEqual({ eventType: 'E', fields: {} })
  })

  it.each([
    [null, 'group', 'an object with name, pipelines, routes, placement'],
    [{ pipelines: [A] }, 'name', 'got undefined'],
    [{ name: 'a\nb', pipelines: [A] }, 'name', 'in one line'],
    [{ name: 'g', pipelins: [A] }, 'group.pipelins', 'did you mean "pipelines"'],
    [{ name: 'g', pipelines: [] }, 'pipelines', 'a list of 1 to 100'],
    [{ name: 'g', pipelines: [A, { ...B, name: 'a' }], routes: [ROUTE] }, 'pipelines[1].name', 'no other pipeline'],
    [{ name: 'g', pipelines: [{ name: '_external', source: 'x' }] }, 'pipelines[0].name', 'injected events'],
    [{ name: 'g', pipelines: [{ name: 'a b', source: 'x' }] }, 'pipelines[0].name', 'A-Z a-z'],
    [{ name: 'g', pipelines: [{ name: 'a' }] }, 'pipelines[0].source', 'a flow as text'],
    [{ name: 'g', pipelines: [{ ...A, workerAffinity: 5 }] }, 'pipelines[0].workerAffinity', 'the id of a worker'],
    [
      { name: 'g', pipelines: [{ ...A, workerAffinity: 'w', worker_affinity: 'w' }] },
      'pipelines[0].workerAffinity',
      'two',
    ],
    [{ name: 'g', pipelines: [A, B] }, 'routes', 'where events go'],
    [{ name: 'g', pipelines: [A], routes: [{ ...ROUTE, to: 'aa' }] }, 'routes[0].to', 'did you mean "a"'],
    [{ name: 'g', pipelines: [A], routes: [{ ...ROUTE, to: '_external' }] }, 'routes[0].to', 'one of a'],
    [{ name: 'g', pipelines: [A], routes: [{ ...ROUTE, from: 'c' }] }, 'routes[0].from', 'one of _external, a'],
    [{ name: 'g', pipelines: [A], routes: [{ ...ROUTE, eventTypes: [] }] }, 'routes[0].eventTypes', 'a list'],
    [{ name: 'g', pipelines: [A], routes: [{ ...ROUTE, eventTypes: [''] }] }, 'routes[0].eventTypes[0]', 'a pattern'],
    [{ name: 'g', pipelines: [A], placement: 'random' }, 'placement', 'round-robin, least-loaded'],
    [{ name: 'g', pipelines: [A], routes: circle('a', 'a') }, 'routes', 'a → a'],
    [{ name: 'g', pipelines: [A, B], routes: [ROUTE, ...circle('a', 'b', 'a')] }, 'routes', 'a → b → a'],
  ])('is refused where it is wrong: %j', (given, option, words) => {
    const fault = thrown(() => groupOf(given))
    expect(fault).toMatchObject({ code: 'INVALID_OPTION', details: { option } })
    expect(fault.message).toContain(words)
  })

  it.each([
    ['too many pipelines', Array.from({ length: 101 }, (_, i) => `p${i}`), []],
    ['too long a way', Array.from({ length: 40 }, (_, i) => `p${i}`), ['chain']],
    ['too many runs', Array.from({ length: 24 }, (_, i) => `p${i}`), ['doubled']],
  ])('is refused for %s', (_, names, [how]) => {
    const pipelines = names.map((name) => ({ name, source: 'x' }))
    const step = how === 'doubled' ? 2 : 1
    const chain = names
      .slice(0, -step)
      .flatMap((from, i) =>
        Array.from({ length: step }, (_, k) => ({ from, to: names[i + k + 1] ?? '', eventTypes: ['*'] })),
      )
    const routes = [{ from: '_external', to: 'p0', eventTypes: ['*'] }, ...(how === undefined ? [] : chain)]
    expect(thrown(() => groupOf({ name: 'g', pipelines, routes }))).toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })
})
