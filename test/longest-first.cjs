/**
 * Jest runs the longest test files first where it knows from an earlier run which those are. In a fresh clone it does not: then files of
 * folders that start processes come first, because one that begins last is waited for alone.
 */
const { default: Sequencer } = require('@jest/test-sequencer')

const LONGEST = [
  '/faults/',
  '/examples/',
  '/worker/process',
  '/contract/redis',
  '/repo-rules/',
  '/redis/',
  '/behaviours/',
  '/bench/',
  '/types/',
]

module.exports = class extends Sequencer {
  sort(tests) {
    const placeOf = ({ path }) => {
      const place = LONGEST.findIndex((part) => path.includes(part))
      return place < 0 ? LONGEST.length : place
    }
    const isKnown = tests.some(({ duration }) => duration !== undefined)
    const sorted = super.sort(tests)
    return isKnown ? sorted : sorted.sort((a, b) => placeOf(a) - placeOf(b))
  }
}
