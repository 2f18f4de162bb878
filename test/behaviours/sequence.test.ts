import { each, par, seq, type GraflowError } from 'graflow'
import { describeOnBackends } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { failureOfRun, finished, logOf } from '../support/runs.js'
import {
  a,
  asGiven,
  b,
  c,
  endsInGroup,
  fanOut,
  inOrder,
  make,
  quick,
  refused,
  slow,
  squares,
  throws,
  twoOfOne,
} from './sequence.tasks.js'

describeOnBackends('sequence', (open) => {
  it('S1: runs its tasks in order, and gives the last one’s value and each one’s', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    const run = await graflow.start(inOrder, '>')
    expect(await run.result()).toBe('>abc')
    expect(log).toEqual(['a', 'b', 'c'])
    expect(await run.result(a)).toBe('>a')
    expect(await run.result(b)).toBe('>ab')
    expect(await run.result(c)).toBe('>abc')
  })

  it('S2: gives both branches the same input, and what follows their results in written order, whichever was first', async () => {
    const graflow = await open()
    const run = await finished(graflow, fanOut, '>')
    expect(await run.result()).toEqual(['slow >a', 'quick >a'])
    expect(await run.result(asGiven)).toEqual(['slow >a', 'quick >a'])
    expect(await run.result(slow)).toBe('slow >a')
    expect(await run.result(quick)).toBe('quick >a')
  })

  it('S3: fails with what a task threw, and runs nothing after it', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    const error = await failureOfRun(graflow, seq(a, throws, b), '>')
    expect(error.code).toBe('TASK_FAILED')
    expect(error.message).toContain('no >a today')
    expect(error.details).toMatchObject({ task: 'throws', path: '1', attempts: 1 })
    const original = error.cause as Error
    expect(original).toBeInstanceOf(Error)
    expect(original.name).toBe('TypeError')
    expect(original.message).toBe('no >a today')
    expect(original.stack).toContain('sequence.tasks')
    expect((original.cause as Error).name).toBe('RangeError')
    expect((original.cause as Error).message).toBe('sold out')
    expect(error.stack).toContain('sequence.tasks')
    expect(log).toEqual(['a'])
  })

  it('S4: runs alike twice in a row and twice at once, with no state shared', async () => {
    const graflow = await open()
    const logs: Record<string, string[]> = {}
    graflow.events.subscribe('run:progress', ({ runId, message }) => {
      logs[runId] = [...(logs[runId] ?? []), message ?? '']
    })
    const one = await finished(graflow, twoOfOne, '1')
    const two = await finished(graflow, twoOfOne, '2')
    const [three, four] = await Promise.all([graflow.start(twoOfOne, '3'), graflow.start(twoOfOne, '4')])
    expect(await Promise.all([one, two, three, four].map((run) => run.result()))).toEqual([
      '1a,1a',
      '2a,2a',
      '3a,3a',
      '4a,4a',
    ])
    for (const run of [one, two, three, four]) expect(logs[run.id]).toEqual(['a', 'b'])
  })

  it('S5: gives the tuple or record of a group that ends the flow', async () => {
    const graflow = await open()
    expect(await graflow.run(seq(a, par(slow, quick)), '')).toEqual(['slow a', 'quick a'])
    expect(await graflow.run(endsInGroup, '')).toEqual({ x: 'slow a', y: 'quick a' })
  })

  it('S6: gives a record with the keys of its branches, in written order', async () => {
    const graflow = await open()
    const result = await graflow.run(par({ second: b, first: a, 'a-b.c': c }), '>')
    expect(result).toEqual({ second: '>b', first: '>a', 'a-b.c': '>c' })
    expect(Object.keys(result)).toEqual(['second', 'first', 'a-b.c'])
  })

  it.each([0, 1, 10_000])('S7: each over %d items gives as many results, in the order of the items', async (count) => {
    const graflow = await open()
    const items = Array.from({ length: count }, (_, i) => i)
    const result = await graflow.run(squares, items)
    expect(result).toEqual(items.map((n) => n * n))
  })

  it('S7: each over no items dispatches nothing', async () => {
    const graflow = await open()
    const run = await finished(graflow, squares, [])
    expect((await run.status()).groups).toEqual([])
  })

  it('S8: carries values unchanged through steps, branches, items and results', async () => {
    const graflow = await open()
    const everything = {
      date: new Date('2026-02-03T04:05:06.789Z'),
      map: new Map<unknown, unknown>([
        ['text', 1],
        [2, { nested: new Set([3]) }],
        [{ key: 'object' }, null],
      ]),
      set: new Set(['a', 1, 10n]),
      big: -(2n ** 100n),
      bytes: Uint8Array.of(0, 127, 255),
      floats: Float64Array.of(-0, Number.NaN, 1.5),
      absent: undefined,
      list: [undefined, null, -0, Number.NaN, Infinity, 2 ** 53, 0.1, '', '\u0000', 'Ünï → 🎉'],
    }
    const carried = await graflow.run(seq(asGiven, par({ x: asGiven, y: seq(asGiven, asGiven) })), everything)
    expect(carried).toStrictEqual({ x: everything, y: everything })
    expect(await graflow.run(each(asGiven), [everything, everything])).toStrictEqual([everything, everything])
  })

  it.each(refused)('S9: refuses %s as an input, and names its path', async (_, value, path) => {
    const graflow = await open()
    const error = await failureOf(graflow.run(asGiven, value()))
    expect(error.code).toBe('NOT_SERIALISABLE')
    expect(error.details['path']).toBe(path)
    expect(error.message).toContain(path)
  })

  it.each(refused)('S9: refuses %s as a result, and lives on', async (what, _, path) => {
    const graflow = await open()
    const inStep = await failureOf(graflow.run(seq(make, asGiven), what))
    const inBranch = await failureOf(graflow.run(par({ x: make, y: asGiven }), what))
    expect(inBranch.code).toBe('GROUP_FAILED')
    for (const error of [inStep, inBranch.cause as GraflowError]) {
      expect(error.code).toBe('NOT_SERIALISABLE')
      expect(error.details['path']).toBe(path)
      expect(error.message).toContain('make')
    }
    expect(await graflow.run(squares, [3])).toEqual([9])
  })
})
