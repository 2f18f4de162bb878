import fc from 'fast-check'
import * as v from 'valibot'
import { z } from 'zod'
import { type as ark } from 'arktype'
import type {
  EachOptions,
  GroupOptions,
  RetryOptions,
  TaskOptions,
  WorkflowOptions,
} from '../../lib/flow/node-options.js'
import { each, par } from '../../lib/flow/group.js'
import { checkName, type NameKind } from '../../lib/flow/names.js'
import { nearest } from '../../lib/nearest.js'
import { expressionOf } from '../../lib/flow/node.js'
import { declareTask, task } from '../../lib/flow/task.js'
import { workflow } from '../../lib/flow/workflow.js'
import { thrown } from '../support/captured-errors.js'

const withOptions = (options: unknown) =>
  (task as (...given: readonly unknown[]) => { readonly options: TaskOptions })('t', options, () => 1)

/** Every option there is: the compiler demands that none is left out, the tests that each is known at run time. */
const everyRetry: Required<RetryOptions> = { attempts: 4, delayMs: 10, factor: 2, maxDelayMs: 100, jitter: 0.5 }
const everyTaskOption: Required<TaskOptions> = {
  retry: everyRetry,
  timeoutMs: 5_000,
  maxLosses: 0,
  maxCycles: 1,
  queue: 'q',
  requires: ['gpu'],
  affinity: 'worker-1.a',
  priority: -100,
  isolation: 'thread',
}
const everyGroupOption: Required<GroupOptions> = {
  timeoutMs: 1,
  queue: 'q',
  concurrency: 1,
  name: 'n',
  onFailure: 'cancel',
}
const everyEachOption: Required<EachOptions> = { ...everyGroupOption, label: 'customer.name' }
const everyWorkflowOption: Required<WorkflowOptions> = {
  timeoutMs: 1,
  description: 'what it is for',
  pin: true,
}

describe('options', () => {
  it('are all known, and kept as they were given', () => {
    expect(withOptions(everyTaskOption).options).toEqual(everyTaskOption)
    expect(expressionOf(par(declareTask('a')).configure(everyGroupOption))).toMatchObject({ options: everyGroupOption })
    expect(expressionOf(each(declareTask('a')).configure(everyEachOption))).toMatchObject({ options: everyEachOption })
    expect(workflow('w', declareTask('a'), everyWorkflowOption).options).toEqual(everyWorkflowOption)
  })

  it('are all named by the error about one that is unknown', () => {
    const listed = (call: () => unknown): string => / are (.*)$/u.exec(thrown(call).message)?.[1] ?? ''
    expect(listed(() => withOptions({ nosuch: 1 }))).toBe(
      [...Object.keys(everyTaskOption), 'input', 'output'].join(', '),
    )
    expect(listed(() => withOptions({ retry: { nosuch: 1 } }))).toBe(
      Object.keys(everyRetry)
        .map((key) => `retry.${key}`)
        .join(', '),
    )
    expect(listed(() => par(declareTask('a')).configure({ nosuch: 1 } as never))).toBe(
      Object.keys(everyGroupOption).join(', '),
    )
    expect(listed(() => each(declareTask('a')).configure({ nosuch: 1 } as never))).toBe(
      Object.keys(everyEachOption).join(', '),
    )
    expect(listed(() => workflow('w', declareTask('a'), { nosuch: 1 } as never))).toBe(
      Object.keys(everyWorkflowOption).join(', '),
    )
  })

  it('label branches of an each only, by keys with dots between', () => {
    const label = (given: string): unknown => each(declareTask('a')).configure({ label: given })
    for (const given of ['id', 'a.b.c', 'with space', 'x'.repeat(256)]) expect(() => label(given)).not.toThrow()
    for (const given of ['', '.', 'a.', '.a', 'a..b', 'x'.repeat(257), 7 as never])
      expect(thrown(() => label(given))).toMatchObject({
        code: 'INVALID_OPTION',
        message: expect.stringContaining('configure: label must be the key of an item'),
      })
    expect(thrown(() => par(declareTask('a')).configure({ label: 'id' } as never)).message).toContain(
      'configure: there is no option label: only an each has it',
    )
  })

  it('are frozen copies with their keys in one order', () => {
    const requires = ['gpu', 'big', 'gpu']
    const given = { timeoutMs: 1, requires, retry: { jitter: 0, attempts: 2 } }
    const { options } = withOptions(given)
    requires.push('late')
    given.retry.attempts = 9
    expect(options).toEqual({ timeoutMs: 1, requires: ['big', 'gpu'], retry: { attempts: 2, jitter: 0 } })
    expect([options, options.requires, options.retry].every(Object.isFrozen)).toBe(true)
    const other = withOptions({ retry: { attempts: 2, jitter: 0 }, requires: ['big', 'gpu'], timeoutMs: 1 })
    expect(JSON.stringify(other.options)).toBe(JSON.stringify(options))
  })

  it('that are undefined are absent, and -0 is 0', () => {
    expect(withOptions({ timeoutMs: undefined, retry: { delayMs: undefined } }).options).toEqual({ retry: {} })
    expect(Object.is(withOptions({ priority: -0 }).options.priority, 0)).toBe(true)
  })

  it.each<[string, unknown, RegExp]>([
    ['{ retries: 3 }', { retries: 3 }, /there is no option retries/u],
    ['{ timoutMs: 3 }', { timoutMs: 3 }, /did you mean "timeoutMs"\?/u],
    [
      '{ retry: { atempts: 3 } }',
      { retry: { atempts: 3 } },
      /there is no option retry\.atempts \(did you mean "attempts"\?\)/u,
    ],
    ['{ retry: 3 }', { retry: 3 }, /retry must be an object with attempts/u],
    ['attempts 0', { retry: { attempts: 0 } }, /retry\.attempts must be an integer from 1 to 255 .* got 0/u],
    // A branch's errors are counted in one byte: more would be refused only when a group is dispatched.
    ['attempts 256', { retry: { attempts: 256 } }, /retry\.attempts must be an integer from 1 to 255/u],
    ['maxLosses 255', { maxLosses: 255 }, /maxLosses must be an integer from 0 to 254/u],
    ['attempts 1.5', { retry: { attempts: 1.5 } }, /attempts/u],
    ['attempts NaN', { retry: { attempts: Number.NaN } }, /attempts/u],
    ['attempts Infinity', { retry: { attempts: Number.POSITIVE_INFINITY } }, /attempts/u],
    ['delayMs -1', { retry: { delayMs: -1 } }, /delayMs must be an integer from 0/u],
    ['factor 0.5', { retry: { factor: 0.5 } }, /factor must be a number of at least 1/u],
    ['factor Infinity', { retry: { factor: Number.POSITIVE_INFINITY } }, /factor/u],
    ['jitter 1.1', { retry: { jitter: 1.1 } }, /jitter must be a number from 0 to 1/u],
    ['timeoutMs 0', { timeoutMs: 0 }, /timeoutMs must be an integer from 1/u],
    ['timeoutMs "5s"', { timeoutMs: '5s' }, /got "5s"/u],
    ['timeoutMs of two years', { timeoutMs: 63_072_000_000 }, /timeoutMs/u],
    ['maxLosses -1', { maxLosses: -1 }, /maxLosses/u],
    ['maxCycles 0', { maxCycles: 0 }, /maxCycles/u],
    ['priority 101', { priority: 101 }, /priority must be an integer from -100 to 100/u],
    ['priority 0.5', { priority: 0.5 }, /priority/u],
    ['isolation "process"', { isolation: 'process' }, /isolation must be "inline" or "thread"/u],
    ['requires "gpu"', { requires: 'gpu' }, /requires must be a list of names, such as \['gpu'\]/u],
    ['queue 3', { queue: 3 }, /queue must be the name of a queue/u],
    ['a date', { timeoutMs: Object.create(null) as object }, /timeoutMs/u],
    ['input 3', { input: 3 }, /input must be a Standard Schema/u],
    ['a list', [], /options are an object/u],
    ['null', null, /options are an object/u],
    ['a flow', declareTask('a'), /options are an object such as \{ timeoutMs: 5_000 \}, got a flow/u],
  ])('%s are INVALID_OPTION', (_what, options, says) => {
    const error = thrown(() => withOptions(options))
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).toMatch(says)
    expect(error.message).toMatch(/^task "t": /u)
  })

  it('say in details which one is wrong', () => {
    expect(thrown(() => withOptions({ retry: { attempts: 0 } })).details).toEqual({
      option: 'retry.attempts',
      got: '0',
    })
    expect(thrown(() => withOptions({ retries: 0 })).details).toEqual({ option: 'retries' })
  })

  const itself: Record<string, unknown> = {}
  itself['retry'] = itself
  it.each<[string, unknown, string]>([
    ['a function for an option', { queue: () => 'q' }, 'options.queue'],
    ['a function deep inside', { retry: { delayMs: (n: number) => n } }, 'options.retry.delayMs'],
    ['a function under an unknown key', { onDone: () => 1 }, 'options.onDone'],
    ['a function in a list', { requires: ['gpu', () => 'cpu'] }, 'options.requires.1'],
    ['a symbol', { queue: Symbol('q') }, 'options.queue'],
    ['a symbol as a key', { retry: { [Symbol('x')]: 1 } }, 'options.retry'],
    ['an instance of a class', { retry: new Map() }, 'options.retry'],
    ['an object that contains itself', itself, 'options.retry.retry'],
    ['half a character', { queue: 'q\ud800' }, 'options.queue'],
  ])('L11: %s is NOT_SERIALISABLE with its path', (_what, options, path) => {
    const error = thrown(() => withOptions(options))
    expect(error.code).toBe('NOT_SERIALISABLE')
    expect(error.details).toEqual({ path })
    expect(error.message).toContain(path)
  })

  it('take the schemas of any library, and keep them out of the data', () => {
    for (const schema of [z.string(), v.string(), ark('string')]) {
      const node = task('t', { input: schema, output: schema, priority: 1 }, (x: string) => x)
      expect(node.options).toEqual({ priority: 1 })
      expect(expressionOf(node)).toMatchObject({ input: schema, output: schema })
      expect(expressionOf(declareTask('t', { input: schema, output: schema }))).not.toHaveProperty('handler')
    }
  })
})

describe('task', () => {
  const loosely = {
    task: task as (...given: readonly unknown[]) => unknown,
    declareTask: declareTask as (...given: readonly unknown[]) => unknown,
  }

  it('keeps its handler', () => {
    const handler = (x: number): number => x
    expect(expressionOf(task('t', handler))).toMatchObject({ kind: 'task', name: 't', options: {}, handler })
    expect(expressionOf(task('t', { priority: 1 }, handler))).toMatchObject({ options: { priority: 1 }, handler })
  })

  it.each<[string, () => unknown, RegExp]>([
    ['without a handler', () => loosely.task('t'), /task "t" has no handler.*declareTask<typeof it>\('t'\)/u],
    ['with options for a handler', () => loosely.task('t', { priority: 1 }), /has no handler/u],
    ['with a number for a handler', () => loosely.task('t', 3), /the handler must be a function, got 3/u],
    [
      'with its arguments swapped',
      () => loosely.task('t', () => 1, { priority: 1 }),
      /the handler must be a function/u,
    ],
    ['declared with a handler', () => loosely.declareTask('t', () => 1), /with one it is task\('t', handler\)/u],
  ])('%s is INVALID_OPTION', (_what, make, says) => {
    const error = thrown(make)
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).toMatch(says)
  })
})

describe('names', () => {
  const kinds: readonly NameKind[] = [
    'task',
    'workflow',
    'group',
    'policy',
    'branch key',
    'case key',
    'worker',
    'queue',
    'capability',
    'run',
  ]

  it('have 1 to 128 letters, digits, _ and -; and a dot, but not those of queues, capabilities and runs', () => {
    const withoutDot = new Set<NameKind>(['queue', 'capability', 'run'])
    for (const kind of kinds) {
      for (const good of ['a', 'Z9_-', 'x'.repeat(128)]) expect(checkName(kind, good)).toBe(good)
      for (const bad of ['', 'a b', 'a/b', 'a:b', 'ä', 'x'.repeat(129), '__proto__', 3, undefined, 'a\n']) {
        expect(thrown(() => checkName(kind, bad)).code).toBe('INVALID_NAME')
      }
      if (withoutDot.has(kind)) expect(thrown(() => checkName(kind, 'a.b')).code).toBe('INVALID_NAME')
      else expect(checkName(kind, 'a.b')).toBe('a.b')
      expect(thrown(() => checkName(kind, 'x'.repeat(257))).code).toBe('LIMIT_EXCEEDED')
    }
  })

  it('are checked where they are given', () => {
    const a = declareTask('a')
    for (const make of [
      () => task('fetch user', () => 1),
      () => declareTask('fetch user'),
      () => workflow('fetch user', a),
      () => par({ 'fetch user': a }),
      () => withOptions({ queue: 'fetch user' }),
      () => withOptions({ affinity: 'fetch user' }),
      () => withOptions({ requires: ['gpu', 'fetch user'] }),
    ]) {
      const error = thrown(make)
      expect(error.code).toBe('INVALID_NAME')
      expect(error.message).toContain('got "fetch user" with " " at 5; try "fetch-user"')
    }
    expect(thrown(() => (task as (...given: unknown[]) => unknown)(() => 1)).message).toContain('got a function')
    expect(thrown(() => (task as (...given: unknown[]) => unknown)(a)).message).toContain('got a flow')
  })

  it('in options say in which', () => {
    const error = thrown(() => withOptions({ queue: 'fetch user' }))
    expect(error.message).toMatch(/^task "t": queue: the name of a queue has/u)
    expect(error.details).toEqual({ kind: 'queue', name: 'fetch user', option: 'queue' })
    expect(thrown(() => withOptions({ requires: [3] })).details).toEqual({ kind: 'capability', option: 'requires' })
    expect(thrown(() => par(declareTask('a')).configure({ name: 'my group' })).message).toMatch(/^configure: name: /u)
  })
})

describe('nearest', () => {
  it('finds what may have been meant', () => {
    expect(nearest('retires', ['retry', 'retries', 'timeoutMs'])).toBe('retries')
    expect(nearest('timeoutms', ['timeoutMs', 'queue'])).toBe('timeoutMs')
    expect(nearest('QUEUE', ['queue'])).toBe('queue')
    expect(nearest('Queue', ['queue', 'Queue'])).toBe('Queue')
    expect(nearest('gpeu', ['queue'])).toBeUndefined()
    expect(nearest('queeu', ['queue'])).toBe('queue')
    expect(nearest('nosuch', ['rows', 'geo'])).toBeUndefined()
    expect(nearest('x', [])).toBeUndefined()
    expect(nearest('bb', ['a', 'b'])).toBe('b')
    expect(nearest('B', ['a', 'b'])).toBe('b')
    expect(nearest('c', ['a', 'b'])).toBeUndefined()
  })

  it('finds the name itself, whatever stands beside it', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, maxLength: 20 }),
        fc.array(fc.string({ maxLength: 20 }), { maxLength: 10 }),
        (name, others) => {
          expect(nearest(name, [...others, name])).toBe(name)
        },
      ),
    )
  })
})
