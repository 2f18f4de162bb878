import { changeSeen, momentsOf, type RunPast } from '../../dashboard/run/run-moments.js'

const at = (second: number): string => new Date(1_700_000_000_000 + second * 1_000).toISOString()
const ms = (second: number): number => new Date(at(second)).getTime()
const past = (facts: Partial<RunPast> = {}): RunPast => ({
  ...{ createdAt: at(0), startedAt: at(1), endedAt: at(9), state: 'completed', byHand: [], retries: 0 },
  ...facts,
})
const words = (...given: Parameters<typeof momentsOf>): readonly string[] => momentsOf(...given).map(({ word }) => word)

describe('the states that a run went through', () => {
  it('end with its end, also where the page saw an earlier one later', () => {
    expect(words(past(), [{ state: 'running', at: ms(10) }])).toEqual(['created', 'started', 'running', 'completed'])
  })

  it('begin with its beginning, also by a clock that is behind', () => {
    expect(words(past(), [{ state: 'waiting', at: ms(-60) }])).toEqual(['created', 'started', 'waiting', 'completed'])
  })

  it('are where the page saw them while the run goes on', () => {
    const seen = ['waiting', 'running'].map((state, i) => ({ state, at: ms(20 + i) }))
    const run: RunPast = { ...past({ state: 'running', retries: 1 }), endedAt: undefined as never }
    expect(momentsOf(run, seen).map(({ word, at: when }) => [word, when - ms(0)])).toEqual([
      ['created', 0],
      ['started', 1_000],
      ['waiting', 20_000],
      ['running', 21_000],
    ])
  })

  it('keep the end that a retry left', () => {
    const failed = past({ state: 'failed' })
    const again: RunPast = { ...past({ state: 'running', retries: 1 }), endedAt: undefined as never }
    const seen = changeSeen(failed, again, ms(20))
    const done = past({ retries: 1, endedAt: at(30) })
    expect(changeSeen(again, done, ms(31))).toEqual([])
    expect(words(done, seen)).toEqual(['created', 'started', 'failed', 'running', 'completed after a retry'])
    // one that was over again before the page looked
    expect(words(done, changeSeen(failed, done, ms(31)))).toEqual([
      ...['created', 'started', 'failed', 'completed after a retry'],
    ])
    expect(changeSeen(again, again, ms(32))).toEqual([])
  })

  it('say how often it was retried, and what was decided by hand', () => {
    const byHand = [{ path: '0/1', as: 'succeeded', at: at(4) }] as unknown as RunPast['byHand']
    expect(words(past({ byHand, retries: 2 }), [])).toEqual([
      'created',
      'started',
      '0/1 decided by hand',
      'completed after 2 retries',
    ])
  })
})
