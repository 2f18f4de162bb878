/** Long walks over flows, workers that come and go, pauses and limits; a short one is in test/producer. */
import { STORES } from '../support/waits-worlds.js'
import { walk } from '../support/waits-walk.js'

describe.each(STORES)('waits (%s)', (name) => {
  it.each([1, 2, 3])(
    'O5: say why at every moment of a walk, seed %d',
    async (seed) => {
      expect(await walk(name, seed, 40)).toBeGreaterThan(3)
    },
    60_000,
  )
})
