/** The options of a task, and how each is observed. */
import type { TaskContext, TaskOptions } from 'graflow'
import { elapse, until } from '../support/waits.js'
import { KNOWER } from './cell.js'
import type { PlayedCell, Option, Schema, Side, TaskSpec } from './table.js'

/** One task, which notes its starts. */
const one =
  (spec: TaskSpec) =>
  (side: Side): ReturnType<Side['task']> =>
    side.task('x', spec)

const noting =
  (options: TaskOptions, handler: TaskSpec['handler'], schemas: Pick<TaskSpec, 'input' | 'output' | 'declared'> = {}) =>
  (side: Side): ReturnType<Side['task']> =>
    one({
      ...{ options, ...schemas },
      handler: (n, ctx) => {
        side.notes.add('start', { n, who: side.who, attempt: ctx.attempt, cycle: ctx.cycle })
        return handler(n, ctx)
      },
    })(side)

const startsOf = (
  cell: PlayedCell,
): readonly { readonly who: string; readonly attempt: number; readonly cycle: number; readonly n: number }[] =>
  cell.notes.of('start') as never

/** Rejects with the reason of the signal. */
export const aborted = ({ signal }: Pick<TaskContext<unknown>, 'signal'>): Promise<never> =>
  new Promise((_, reject) => {
    const give = (): void => reject(signal.reason as Error)
    if (signal.aborted) give()
    else signal.addEventListener('abort', give, { once: true })
  })

export const codeOf = (reason: unknown): unknown => (reason as { readonly code?: unknown } | undefined)?.code

/** Takes numbers and adds one. */
const plusOne: Schema = {
  '~standard': {
    version: 1,
    vendor: 'matrix',
    validate: (value) =>
      typeof value === 'number' ? { value: value + 1 } : { issues: [{ message: 'expected a number' }] },
  },
}

const fails = (): never => {
  throw new Error('declined')
}

const notDeclared =
  'The worker that knows the task may go on with the branch or run, and has the task, and no declaration of it.'
const noSchema = 'A declaration that leaves its schemas out asks nothing.'
const notQueued = 'It runs where its run is driven, and waits in no queue.'
const saysWhere =
  'The process that dispatches the task says where it waits and when it comes: write that at the declaration.'
const inItsHandler = 'It runs in the branch of the handler that asks for it, which has its slot already.'

export const TASK_OPTIONS: readonly Option[] = [
  {
    ...{ name: 'retry', of: 'task', bench: 'plain' },
    shows:
      'three starts of a task with three attempts that always fails, with the delays that `delayMs` and `factor` make',
    nodes: { x: noting({ retry: { attempts: 3, delayMs: 2, factor: 2 } }, fails) },
    observe: async (cell) => {
      const delays: number[] = []
      const offs = (['branch:retrying', 'step:retrying'] as const).map((name) =>
        cell.bench.graflow.events.subscribe(name, ({ task, delayMs }) => {
          if (task === cell.nameOf('x')) delays.push(delayMs)
        }),
      )
      const errors = await cell.failure()
      for (const off of offs) off()
      expect(startsOf(cell).map(({ attempt }) => attempt)).toEqual([1, 2, 3])
      expect(errors.map(codeOf)).toContain('TASK_FAILED')
      expect(delays).toEqual([2, 4])
    },
  },
  {
    ...{ name: 'timeoutMs', of: 'task', bench: 'plain' },
    shows: 'the signal of a task that would wait for ever fires with TIMEOUT, and the run fails with it',
    nodes: {
      x: (side) =>
        noting({ timeoutMs: 40 }, async (_, ctx) => {
          await aborted(ctx).catch((reason: unknown) => side.notes.add('aborted', codeOf(reason)))
        })(side),
    },
    observe: async (cell) => {
      const errors = await cell.failure()
      expect(errors.map(codeOf)).toContain('TIMEOUT')
      expect(cell.notes.of('aborted')).toEqual(['TIMEOUT'])
      expect(startsOf(cell)).toHaveLength(1)
    },
  },
  {
    ...{ name: 'maxLosses', of: 'task', bench: 'lost' },
    shows: 'of a task that may lose one worker, the second loss is the last: BRANCH_DEAD after two starts',
    cannot: { run: 'A run outlives the processes that drive it: how many it loses is no option.' },
    nodes: {
      x: (side) =>
        noting({ maxLosses: 1 }, async (_, ctx) => {
          if (side.notes.count('start') <= 2) await aborted(ctx)
        })(side),
    },
    observe: async (cell) => {
      const failed = cell.failure()
      failed.catch(() => undefined) // it may be over before it is awaited
      for (const count of [1, 2]) {
        await Promise.race([cell.notes.until('start', count), failed])
        await cell.bench.meet()
      }
      const errors = await failed
      expect(errors.map(codeOf)).toContain('BRANCH_DEAD')
      expect(errors.map(({ message }) => message).join()).toContain(cell.nameOf('x'))
      expect(startsOf(cell).map(({ attempt }) => attempt)).toEqual([1, 2])
    },
  },
  {
    ...{ name: 'elsewhere', of: 'task', bench: 'split' },
    shows:
      'no option, but a task that one worker knows, which knows nothing of what surrounds it: that worker runs it, and the run ends as ever',
    nodes: { x: noting({}, (n) => n) },
    observe: async (cell) => {
      expect(await cell.value('x', 7)).toBe(7)
      expect(startsOf(cell).map(({ who, n }) => [who, n])).toEqual([[KNOWER, 7]])
    },
  },
  {
    ...{ name: 'maxCycles', of: 'task', bench: 'plain' },
    shows: 'a task that always returns `again` goes round three times, then CYCLE_LIMIT',
    nodes: { x: noting({ maxCycles: 3 }, (n, ctx) => ctx.again(n)) },
    observe: async (cell) => {
      const errors = await cell.failure()
      expect(errors.map(codeOf)).toContain('CYCLE_LIMIT')
      expect(startsOf(cell).map(({ cycle }) => cycle)).toEqual([1, 2, 3])
    },
  },
  {
    ...{ name: 'queue', of: 'task', bench: 'workers' },
    shows: 'of four workers, the one that serves the queue runs the task',
    cannot: { 'left out': saysWhere },
    nodes: { x: noting({ queue: 'q' }, (n) => n) },
    observe: (cell) => ranOn(cell, 'queue'),
  },
  {
    ...{ name: 'requires', of: 'task', bench: 'workers' },
    shows: 'of four workers, the one that has the capability runs the task, four times out of four',
    cannot: { 'left out': saysWhere },
    nodes: { x: noting({ requires: ['gpu'] }, (n) => n) },
    observe: (cell) => ranOn(cell, 'gpu'),
  },
  {
    ...{ name: 'affinity', of: 'task', bench: 'workers' },
    shows: 'of three workers that could, the one of that name runs the task, four times out of four',
    cannot: { 'left out': saysWhere },
    nodes: { x: noting({ affinity: 'near' }, (n) => n) },
    observe: (cell) => ranOn(cell, 'near'),
  },
  {
    ...{ name: 'priority', of: 'task', bench: 'one-slot' },
    shows:
      'two runs with a low and then one with a high priority wait for a worker that takes one at a time: the high one is first',
    cannot: { run: notQueued, next: inItsHandler, goto: inItsHandler, 'left out': saysWhere },
    nodes: {
      low: noting({ priority: -5 }, (n) => n),
      high: noting({ priority: 5 }, (n) => n),
    },
    observe: async (cell) => {
      const runs = []
      for (const [i, variant] of ['low', 'low', 'high'].entries()) {
        const run = await cell.start(variant, i)
        const depth = cell.place.name === 'ctx.run' ? 2 : cell.place.begin === 'submit' ? 0 : 1
        const waits = async (): Promise<boolean> => {
          const { groups } = await run.status()
          return groups.length === depth && (groups.at(-1)?.ready ?? 1) > 0
        }
        await until(waits, `the task of ${cell.title} to wait`)
        runs.push(run)
      }
      await cell.bench.meet()
      await Promise.all(runs.map((run) => run.result()))
      expect(startsOf(cell).map(({ n }) => n)[0]).toBe(2)
    },
  },
  {
    ...{ name: 'input', of: 'task', bench: 'plain' },
    shows: 'the handler gets what the schema makes of the input, once; INVALID_INPUT for what it refuses',
    nodes: { x: noting({}, (n) => n * 10, { input: plusOne }) },
    observe: async (cell) => {
      expect(await cell.value('x', 1)).toBe(20)
      const errors = await cell.failure('x', 'no number')
      expect(errors.map(codeOf)).toContain('INVALID_INPUT')
      expect(startsOf(cell)).toHaveLength(1)
    },
  },
  {
    ...{ name: 'output', of: 'task', bench: 'plain' },
    shows: 'what follows gets what the schema makes of the output, once; INVALID_OUTPUT for what it refuses',
    nodes: { x: noting({}, (n) => (n < 0 ? 'no number' : n * 10), { output: plusOne }) },
    observe: async (cell) => {
      expect(await cell.value('x', 1)).toBe(11)
      const errors = await cell.failure('x', -1)
      expect(errors.map(codeOf)).toContain('INVALID_OUTPUT')
    },
  },
  {
    ...{ name: 'declared input', of: 'task', bench: 'split' },
    shows:
      'of a task that one worker knows, without a schema, and that all others declare with one: INVALID_INPUT for what the schema refuses, without a start; the rest comes as it was given',
    cannot: { chain: notDeclared, choose: notDeclared, submit: notDeclared, 'left out': noSchema },
    nodes: { x: noting({}, (n) => n * 10, { declared: { input: plusOne } }) },
    observe: async (cell) => {
      expect(await cell.value('x', 1)).toBe(10)
      const errors = await cell.failure('x', 'no number')
      expect(errors.map(codeOf)).toContain('INVALID_INPUT')
      expect(startsOf(cell)).toHaveLength(1)
    },
  },
  {
    ...{ name: 'declared output', of: 'task', bench: 'split' },
    shows: 'the same with an output schema, which gives a type: what follows gets what the task gave',
    cannot: { 'left out': noSchema },
    nodes: { x: noting({}, (n) => (n < 0 ? 'no number' : n * 10), { declared: { output: plusOne } }) },
    observe: async (cell) => {
      expect(await cell.value('x', 1)).toBe(10)
      expect(await cell.value('x', -1)).toBe('no number')
    },
  },
]

/** One after the other: what was idle before could have taken each. */
const RUNS = 4

async function ranOn(cell: PlayedCell, who: string): Promise<void> {
  for (let n = 0; n < RUNS; n += 1) expect(await cell.value('x', n)).toBe(n)
  expect(startsOf(cell).map((start) => start.who)).toEqual(Array.from({ length: RUNS }, () => who))
}

/** A few turns and a moment, in which what should not happen could. */
export const moment = (): Promise<void> => elapse(10)
