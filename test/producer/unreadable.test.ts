/** What callers without types may pass: values that throw when they are looked at, and values of another kind. Always a GraflowError. */
import { choose, connect, each, flow, loop, par, seq, task, workflow, type Graflow } from 'graflow'
import { Worker } from 'graflow/worker'
import { failureOf, thrown } from '../support/captured-errors.js'

const trap = (): never => {
  throw new Error('trapped')
}
const proxy: never = new Proxy(
  {},
  { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap, getOwnPropertyDescriptor: trap },
) as never
const lazy: never = {
  get timeoutMs() {
    return trap()
  },
} as never
const lazyDeep: never = { retry: lazy } as never
const a = task('a', (n: number) => n)

const untyped = flow as unknown as (text: string, names: unknown) => unknown

const MADE: readonly (readonly [string, (given: never) => unknown])[] = [
  ['task', (given) => task('t', given, () => 1)],
  ['the retry of a task', (given) => task('t', { retry: given }, () => 1)],
  ['the schema of a task', (given) => task('t', { input: given } as never, () => 1)],
  ['configure', (given) => par(a).configure(given)],
  ['workflow', (given) => workflow('w', a, given)],
  ['the flow of a workflow', (given) => workflow('w', given)],
  ['loop', (given) => loop(a as never, given)],
  ['the body of a loop', (given) => loop(given, { maxCycles: 1 })],
  ['seq', (given: typeof a) => seq(a, given)],
  ['par', (given: typeof a) => par(given)],
  ['par of a record', (given) => par({ a: given })],
  ['each', (given) => each(given)],
  ['the decision of choose', (given) => choose(given, { k: a } as never)],
  ['the cases of choose', (given) => choose(a as never, given)],
  ['flow', (given) => untyped('a >> timeoutMs', given)],
  ['a name of flow', (given) => untyped('a >> b', { a, b: given })],
  ['the join of a group', (given) => par(a).join(given)],
  ['to', (given) => a.to(given)],
  ['with', (given) => a.with(given)],
  ['a worker', (given) => new Worker(given)],
  ['the limits of a worker', (given) => new Worker({ tasks: [a], limits: given })],
]

const CODES = expect.stringMatching(/^INVALID_(OPTION|NODE)$|^UNKNOWN_NAME$/) as string

describe('what throws when it is looked at is refused', () => {
  it.each(MADE)('where it is written: %s', (_, make) => {
    for (const given of [proxy, lazy]) expect(thrown(() => make(given))).toMatchObject({ code: CODES })
  })

  it('by its place and by what it threw', () => {
    const error = thrown(() => task('score', lazyDeep, () => 1))
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).toMatch(/^task "score": .*Error: trapped/)
  })
})

describe('a client', () => {
  let graflow: Graflow
  beforeAll(async () => {
    graflow = await connect({ logLevel: 'silent' })
  })
  afterAll(() => graflow.close())

  it.each<[string, (given: never) => Promise<unknown>]>([
    ['options of connect', (given) => connect(given)],
    ['limits of connect', (given) => connect({ limits: given })],
    ['tasks of connect', (given) => connect({ tasks: [given] })],
    ['options of run', (given) => graflow.run(a, 1, given)],
    ['options of start', (given) => graflow.start(a, 1, given)],
    ['options of submit', (given) => graflow.submit(a, 1, given)],
    ['the signal of run', (given) => graflow.run(a, 1, { signal: given })],
    ['the flow of run', (given) => graflow.run(given, 1 as never)],
    ['the flow of start', (given) => graflow.start(given, 1 as never)],
    ['the flow of submit', (given) => graflow.submit(given, 1 as never)],
    ['the flow of attach', (given) => graflow.attach('id', given)],
    ['the id of attach', (given) => graflow.attach(given)],
  ])('refuses %s that throw when they are looked at', async (_, call) => {
    for (const given of [proxy, lazy]) expect(await failureOf(call(given))).toMatchObject({ code: CODES })
  })

  it('refuses a signal whose state cannot be read', async () => {
    const signal = {
      addEventListener: trap,
      removeEventListener: trap,
      get aborted() {
        return trap()
      },
    }
    expect((await failureOf(graflow.run(a, 1, { signal: signal as never }))).code).toBe('INVALID_OPTION')
  })

  it.each([[Symbol('s')], [Object.create(null)], [undefined], [7]])('attaches to no run called %p', async (id) => {
    const { code, message } = await failureOf(graflow.attach(id as never))
    expect([code, message]).toEqual(['INVALID_OPTION', expect.stringContaining('takes the id of a run')])
  })

  it('has no event whose name is no text', () => {
    for (const name of [Symbol('s'), Object.create(null), undefined, proxy])
      expect(thrown(() => graflow.events.subscribe(name as never, () => undefined)).code).toBe('INVALID_NAME')
  })

  it.each([[undefined], [null], [{}], ['f']])('refuses the listener %p at once', (listener) => {
    const { code, message } = thrown(() => graflow.events.subscribe('log', listener as never))
    expect([code, message]).toEqual(['INVALID_OPTION', expect.stringContaining("subscribe('log', …) takes a function")])
  })
})
