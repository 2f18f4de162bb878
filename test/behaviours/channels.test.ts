import { each, par, seq } from 'graflow'
import { manualClock } from 'graflow/testing'
import {
  addAll,
  adds,
  addsTogether,
  change,
  expiry,
  fetched,
  lists,
  producerAndBranch,
  removes,
  takeNumber,
  total,
  typed,
  wrongArguments,
  wrongTypes,
} from './channels.tasks.js'
import { describeOnBackends } from '../support/backends.js'
import { nextMark } from '../support/runs.js'

describeOnBackends('channels', (open, onlyEmbedded) => {
  it('C1: give branches what a task before them set, and ctx.result what it returned', async () => {
    const graflow = await open()
    const expected = {
      config: { threshold: 0, note: '', list: [], absent: undefined, when: new Date(5) },
      upstream: fetched,
      has: [true, false],
      nothing: undefined,
      keys: ['config'],
    }
    const run = await graflow.start(producerAndBranch, undefined)
    expect(await run.result()).toStrictEqual(expected)
    expect(await run.result('1/one')).toStrictEqual(expected)
    expect(await run.result('1/chain')).toStrictEqual(expected)
  })

  it('C2: append and prepend in the order of the calls, and give the new length', async () => {
    const graflow = await open()
    const items = ['p4', 'p3', 'p2', 'p1', 'a1', 'a2', 'a3', 'a4']
    expect(await graflow.run(lists, undefined)).toEqual({
      lengths: [1, 2, 3, 4, 5, 6, 7, 8],
      items,
      asValue: items,
      ofNothing: [],
      onArray: [3, 'x', 'y', 'z'],
    })
  })

  it('C3: refuse an operation on a value of another type, naming it, and change nothing', async () => {
    const graflow = await open()
    const { unchanged, ...refused } = await graflow.run(wrongTypes, undefined)
    expect(unchanged).toEqual(['words', { a: 1 }, 3, [1]])
    const refusals = Object.entries(refused) as [string, { code: string; message: string; details: { key: string } }][]
    expect(refusals).toHaveLength(8)
    for (const [what, { code, message, details }] of refusals) {
      expect([what, code]).toEqual([what, 'CHANNEL_TYPE'])
      expect(what.split(' ').at(-1)).toBe(details.key)
      expect(message).toContain(`"${details.key}"`)
    }
  })

  onlyEmbedded('a worker process has a clock of its own, and Redis another')(
    'C4: a set without ttlMs ends an earlier ttlMs; append and add leave it as it is',
    async () => {
      const clock = manualClock(1_000_000)
      const graflow = await open({ clock })
      const isSet = nextMark(graflow, 'set')
      const result = graflow.run(expiry, 1_000)
      await isSet
      clock.advance(1_000)
      expect(await result).toEqual({
        expires: undefined,
        stays: 2,
        list: [],
        count: undefined,
        keys: ['later', 'stays'],
        anew: [1, 1],
      })
    },
  )

  it('C5: 5 branches that add 100 times each make 500', async () => {
    const graflow = await open()
    expect(
      await graflow.run(
        addAll,
        Array.from({ length: 5 }, () => ({ times: 100, by: 1 })),
      ),
    ).toBe(500)
  })

  it('C6: 10 writers that add 1 000 times each make 10 000', async () => {
    const graflow = await open()
    expect(
      await graflow.run(
        addAll,
        Array.from({ length: 10 }, () => ({ times: 1_000, by: 1 })),
      ),
    ).toBe(10_000)
  })

  it('add by fractions, by less than nothing, and in one handler at once', async () => {
    const graflow = await open()
    expect(
      await graflow.run(seq(each(adds), total), [
        { times: 2, by: 0.5 },
        { times: 3, by: -1 },
      ]),
    ).toBe(-2)
    const sums = await graflow.run(addsTogether, 100)
    expect([...sums].sort((x, y) => x - y)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
  })

  it('belong to one run', async () => {
    const graflow = await open()
    expect(await graflow.run(seq(takeNumber, takeNumber), undefined)).toBe(2)
    expect(await graflow.run(par(takeNumber, takeNumber), undefined)).toEqual(expect.arrayContaining([1, 2]))
    expect(await graflow.run(takeNumber, undefined)).toBe(1)
  })

  it('keep what was set, whatever becomes of the object', async () => {
    const graflow = await open()
    expect(await graflow.run(change, undefined)).toEqual({ list: [1] })
  })

  it('delete a key, and say whether there was one', async () => {
    const graflow = await open()
    expect(await graflow.run(removes, undefined)).toEqual([true, false, undefined, []])
  })

  it('are the same channel, typed', async () => {
    const graflow = await open()
    expect(await graflow.run(typed, undefined)).toEqual([2, ['Ada'], { name: 'Bob' }])
  })

  it('refuse keys, numbers, durations and values that they cannot take, and keep nothing of them', async () => {
    const graflow = await open()
    expect(await graflow.run(wrongArguments, undefined)).toMatchObject({
      'empty key': { code: 'INVALID_NAME' },
      'long key': { code: 'INVALID_NAME', message: expect.stringContaining('256') },
      'no number': { code: 'INVALID_OPTION', message: expect.stringContaining('NaN') },
      'ttl of half a millisecond': { code: 'INVALID_OPTION', message: expect.stringContaining('ttlMs') },
      'ttl of none': { code: 'INVALID_OPTION' },
      'a function': { code: 'NOT_SERIALISABLE', details: { path: 'value.call' } },
      'a function in a list': { code: 'NOT_SERIALISABLE', details: { path: 'value[1].call' } },
      'a function appended': { code: 'NOT_SERIALISABLE', details: { path: 'value' } },
      keys: [],
    })
  })
})
