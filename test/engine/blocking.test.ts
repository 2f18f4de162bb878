/** A handler that keeps the event loop keeps its own timer from firing: its lateness is seen when it returns. */
import { connect, task } from 'graflow'
import { manualClock } from 'graflow/testing'

describe('a handler that keeps the event loop', () => {
  it('past its timeoutMs fails with TIMEOUT, and its late result is dropped', async () => {
    const clock = manualClock()
    await using graflow = await connect({ clock })
    // As a busy loop does: time goes by, and no timer fires.
    const now = clock.now
    let lateMs = 0
    clock.now = () => now() + lateMs
    const busy = task('busy', { timeoutMs: 50 }, () => {
      lateMs = 200
      return 'late'
    })

    await expect(graflow.run(busy)).rejects.toMatchObject({ code: 'TIMEOUT', details: { timeoutMs: 50 } })
  })
})
