/** A short walk over flows, workers that come and go, pauses and limits; test/long has longer ones. */
import { STORES } from '../support/waits-worlds.js'
import { walk } from '../support/waits-walk.js'

it.each(STORES)('O5: waits say why at every moment of a short walk (%s)', async (name) => {
  expect(await walk(name, 5, 12)).toBeGreaterThan(2)
})
