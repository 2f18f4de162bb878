import {
  CONNECT_OPTIONS,
  defaultTextOf,
  GROUP_DEFAULTS,
  LIMIT_OPTIONS,
  type OptionSpec,
  POOL_OPTIONS,
  RETRY_DEFAULTS,
  RUN_OPTIONS,
  TASK_DEFAULTS,
  WORKER_OPTIONS,
} from '../../lib/options.js'
import { membersOf, membersOfFile } from './public-members.js'

/** Files whose exported interfaces are what users set and read. */
const files = [
  ...['lib/flow/context.ts', 'lib/flow/node-options.ts', 'lib/producer/leader-options.ts', 'lib/producer/types.ts'],
  ...['lib/errors.ts', 'lib/flow/task.ts', 'lib/time.ts', 'worker/worker-options.ts', 'worker/worker-pool.ts'],
]
const members = [
  ...files.flatMap(membersOfFile),
  ...membersOfFile('lib/options.ts').filter(({ owner }) => owner === 'Limits'),
]

const textsOf = (table: Readonly<Record<string, OptionSpec>>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(table).flatMap(([name, spec]) => (name === 'limits' ? [] : [[name, defaultTextOf(spec)]])),
  )
/** What clients and workers have in common. */
const LEADING = ['ConnectOptions', 'WorkerOptions']
const isOf = (owner: string, of: string): boolean => owner === of || (owner === 'LeaderOptions' && LEADING.includes(of))

const valuesOf = (defaults: object): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, String(value)]))

describe('the members of an interface', () => {
  it('are read with their comments, overload by overload', () => {
    const text = `
      interface Hidden { a: 1 }
      export interface Shown {
        /** One
         * and more. */
        readonly a?: number
        readonly b: string
        /** First. */
        c(): void
        c(x: number): void
        readonly '~types': 1
        (call: 1): void
      }`
    expect(membersOf('a.ts', text).map(({ owner, name, doc }) => [owner, name, doc])).toEqual([
      ['Shown', 'a', '/** One and more. */'],
      ['Shown', 'b', ''],
      ['Shown', 'c', '/** First. */'],
      ['Shown', 'c', ''],
    ])
  })
})

describe('public options and results', () => {
  it('have a doc comment on every member, so that a hover says something', () => {
    expect(members.map(({ owner }) => owner)).toEqual(expect.arrayContaining(['RunOptions', 'Run', 'TaskOptions']))
    expect(members.filter(({ doc }) => doc === '').map(({ owner, name }) => `${owner}.${name}`)).toEqual([])
  })

  it.each<[owner: string, defaults: Readonly<Record<string, string>>]>([
    ['ConnectOptions', textsOf(CONNECT_OPTIONS)],
    ['RunOptions', textsOf(RUN_OPTIONS)],
    ['WorkerOptions', textsOf(WORKER_OPTIONS)],
    ['WorkerPoolOptions', textsOf(POOL_OPTIONS)],
    ['Limits', textsOf(LIMIT_OPTIONS)],
    ['TaskOptions', valuesOf(TASK_DEFAULTS)],
    ['RetryOptions', valuesOf(RETRY_DEFAULTS)],
    ['GroupOptions', valuesOf(GROUP_DEFAULTS)],
  ])('%s: the comments name the defaults of lib/options.ts', (owner, defaults) => {
    const comments = new Map(members.filter((member) => isOf(member.owner, owner)).map(({ name, doc }) => [name, doc]))
    const names = (name: string, text: string): boolean => {
      const [, said = ''] = comments.get(name)?.split('Default: ') ?? []
      return said.startsWith(text) && /^(\. ?|, | \(| for )/.test(said.slice(text.length))
    }
    const wrong = Object.entries(defaults).filter(([name, text]) => !names(name, text))
    expect(wrong.map(([name, text]) => `${name}: "${text}", the comment: ${comments.get(name) ?? ''}`)).toEqual([])
  })
})
