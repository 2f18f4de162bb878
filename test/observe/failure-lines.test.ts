/** Which failed starts get a line of the log, and how the others are counted. */
import { Emitter } from '../../lib/events.js'
import { logFailures } from '../../lib/observe/failure-lines.js'
import { type ManualClock, manualClock } from '../../lib/time.js'

let clock: ManualClock
let emitter: Emitter
let lines: string[]
let end: () => void
beforeEach(() => {
  clock = manualClock(5_000_100)
  emitter = new Emitter(() => clock.now())
  lines = []
  emitter.subscribe('log', ({ level, message }) => lines.push(`${level} ${message}`))
  end = logFailures(emitter, (ms, fn) => clock.after(ms, fn, true))
})

/** So many starts fail now: for good, or to be repeated. */
const fail = (count: number, delayMs?: number): void => {
  const place = { runId: 'r', path: '0', task: 't', attempt: 1, workerId: 'w', what: 'branch' } as const
  for (let i = 0; i < count; i += 1)
    emitter.emit('start:failed', { ...place, ...(delayMs !== undefined && { delayMs }), error: new Error('no') })
}
const more = 'have no line of their own'

describe('lines of failures', () => {
  it('are there for starts that failed for good, however many are repeated in that second', () => {
    fail(150, 10)
    fail(2)
    expect(lines.filter((line) => line.startsWith('warn'))).toEqual([
      'warn branch failed: no',
      'warn branch failed: no',
    ])
    expect(lines.filter((line) => line.startsWith('debug'))).toHaveLength(100)
  })

  it('count what has none as soon as the second is over, though nothing fails after it', () => {
    fail(130)
    expect(lines).toHaveLength(100)
    clock.advance(899)
    expect(lines).toHaveLength(100)
    clock.advance(1)
    expect(lines.slice(100)).toEqual([`warn 30 more starts failed in the same second and ${more}`])
    clock.advance(60_000)
    expect([lines.length, clock.nextDueMs()]).toEqual([101, undefined])
  })

  it('count it when they end, and then no more', () => {
    fail(101)
    fail(103, 10)
    end()
    expect(lines.slice(200)).toEqual([
      `warn 1 more starts failed in the same second and ${more}`,
      `debug 3 more starts failed, to be repeated, in the same second and ${more}`,
    ])
    fail(1)
    expect([lines.length, clock.nextDueMs()]).toEqual([202, undefined])
  })
})
