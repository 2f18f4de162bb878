import {
  countSteps,
  isNoted,
  marksNaming,
  seenIn,
  STEP_MARKS,
  StepJournal,
  stepsIn,
} from '../../lib/engine/step-journal.js'
import { GraflowError } from '../../lib/errors.js'
import { decode } from '../../lib/values/codec.js'

const journal = (): StepJournal => {
  let now = 1_000
  return new StepJournal(() => (now += 1))
}
/** As the store would have it after these writes. */
const store = (kept: Map<string, Uint8Array>, of: StepJournal): Map<string, Uint8Array> => {
  for (const [path, value] of of.takeUnwritten()) kept.set(path.slice(1), value)
  return kept
}

describe('what a driver has done', () => {
  it('is written once, and restored by the next driver', () => {
    const first = journal()
    first.started('0', 'a', 1)
    first.ended('0', 'succeeded')
    first.started('1', 'b', 1)
    const kept = store(new Map(), first)
    expect(first.hasUnwritten).toBe(false)
    const next = journal()
    next.restore(kept)
    expect(next.hasUnwritten).toBe(false)
    next.started('1', 'b', 2)
    next.ended('1', 'failed', new GraflowError('TASK_FAILED', 'no'))
    next.started('2', 'c', 1)
    expect(stepsIn(store(kept, next)).map(({ path, state, attempt }) => [path, state, attempt])).toEqual([
      ['0', 'succeeded', 1],
      ['1', 'failed', 2],
      ['2', 'running', 1],
    ])
    expect([...kept.keys()].every(isNoted)).toBe(true)
    expect(marksNaming(kept, (path) => path !== '0')).toEqual(['/!s1', '/!s2'])
  })

  it('keeps the first hundred and the last hundred, and counts all', () => {
    const long = journal()
    const kept = new Map<string, Uint8Array>()
    for (let n = 0; n < 1_000; n += 1) {
      long.started(`0/${n}`, 'pass', 1)
      if (n < 999) long.ended(`0/${n}`, 'succeeded')
      if (n % 7 === 0) store(kept, long)
    }
    store(kept, long)
    expect(kept.size).toBe(STEP_MARKS.length)
    const steps = stepsIn(kept)
    expect(steps.map(({ number }) => number)).toEqual([
      ...Array.from({ length: 100 }, (_, n) => n),
      ...Array.from({ length: 100 }, (_, n) => 900 + n),
    ])
    expect(countSteps(steps)).toEqual({ done: 999, total: 1_000 })
  })

  it('bounds an error, and writes anew what was not written', () => {
    const of = journal()
    of.started('0', 'a', 1)
    of.retrying('0', new RangeError('x'.repeat(100_000)))
    const [written] = [...of.takeUnwritten()]
    expect(written?.[1].length).toBeLessThan(8_000)
    expect(of.putBack(written?.[0] ?? '')).toBe(true)
    expect(of.putBack('0')).toBe(false)
    expect(of.hasUnwritten).toBe(true)
  })

  it('bounds an error in bytes, whatever its letters, and cuts none of them', () => {
    const of = journal()
    of.started('0', 'a', 1)
    of.retrying('0', new RangeError('€'.repeat(5_000)))
    const [step] = stepsIn(store(new Map(), of))
    expect(step?.error?.length).toBeLessThanOrEqual(4_096)
    expect((decode(step?.error ?? new Uint8Array()) as Error).message).toMatch(/^€+$/u)
  })

  it('shows a step that is not over as what became of its run', () => {
    const of = journal()
    of.started('0', 'a', 1)
    const [step] = of.steps
    if (step === undefined) throw new Error('expected a step')
    const states = ['running', 'paused', 'pending', 'abandoned', 'failed'].map((state) => seenIn(step, state).state)
    expect(states).toEqual(['running', 'running', 'interrupted', 'interrupted', 'cancelled'])
  })

  it.each([
    ['running', 0],
    ['abandoned', 0],
    ['failed', 1],
  ])('counts a step under way in a run that is %s as %d that are over', (state, done) => {
    const of = journal()
    of.started('0', 'a', 1)
    expect(countSteps(of.steps.map((step) => seenIn(step, state)))).toEqual({ done, total: 1 })
  })

  it('passes over what it cannot read', () => {
    expect(stepsIn([['/!s0', Uint8Array.of(1, 2, 3)]])).toEqual([])
  })
})
