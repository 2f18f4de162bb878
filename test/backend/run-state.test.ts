/** What a run is called, by what is known of it. */
import { ABANDONED_AFTER_MS, isLeftBehind, runStateOf, type RunFacts } from '../../lib/backend/run-state.js'

const facts = (given: Partial<RunFacts> = {}): RunFacts => ({
  ...{ end: undefined, isAbandoned: false, isPaused: false, isWaiting: false, isDriven: false, lostAt: undefined },
  ...given,
})

describe('the state of a run', () => {
  it('is what it ended as, whatever else is known', () => {
    expect(runStateOf(facts({ end: 'failed', isAbandoned: true, isPaused: true, lostAt: 0 }), 9_000)).toBe('failed')
  })

  it('is pending while a worker may soon take over, then abandoned, and running once one has', () => {
    const lost = facts({ lostAt: 1_000 })
    expect(runStateOf(lost, 1_000 + ABANDONED_AFTER_MS - 1)).toBe('pending')
    expect(runStateOf(lost, 1_000 + ABANDONED_AFTER_MS)).toBe('abandoned')
    expect(runStateOf(facts({ isDriven: true }), 99_000)).toBe('running')
  })

  it('is waiting while its root is parked, unless it is paused', () => {
    expect(runStateOf(facts({ isWaiting: true, lostAt: 0 }), 9_000)).toBe('waiting')
    expect(runStateOf(facts({ isWaiting: true, isPaused: true }), 0)).toBe('paused')
  })

  it('is pending for a submitted run, however long it waits for a driver', () => {
    expect(runStateOf(facts(), 1e12)).toBe('pending')
  })
})

describe('a run whose driver is gone', () => {
  it('is left behind where it was asked for, or started without a word', () => {
    expect(isLeftBehind({ session: 's' })).toBe(true)
    expect(isLeftBehind({ session: 's', ifLost: 'take-over' })).toBe(false)
    expect(isLeftBehind({})).toBe(false)
    expect(isLeftBehind({ ifLost: 'abandon' })).toBe(true)
  })
})
