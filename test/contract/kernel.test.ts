/** The memory backend answers the contract's questions, under a clock that moves only when told to. */
import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import { manualClock } from '../../lib/time.js'
import { describeBackend } from './suite.js'

describeBackend('the kernel', async (options) => {
  const clock = manualClock(1_700_000_000_000)
  let stalledMs = 0
  let nonces = 0
  const backend = openMemoryBackend({
    ...options,
    clock: { ...clock, now: () => clock.now() + stalledMs },
  })
  const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  return {
    backend,
    advance: async (ms) => {
      clock.advance(ms)
      await quiet()
    },
    stall: async (ms) => {
      stalledMs += ms // the clock has moved, and no timer has fired
    },
    quiet,
    newNonce: () => {
      nonces += 1
      return `nonce-${nonces}`
    },
    close: () => backend.close(),
  }
})
