/**
 * Jest runs the longest test files first where it knows from an earlier run which those are. In a fresh clone it does not: then the files
 * that took longest when this list was made come first, because one that begins last is waited for alone. After the list come those of
 * folders that start processes, then all others.
 */
const { default: Sequencer } = require('@jest/test-sequencer')

/** Longest first: those that take fifteen seconds and more beside others on two cores. */
const LONGEST = [
  // npm test
  'contract/redis-time',
  'repo-rules/snippets',
  'behaviours/waits',
  'contract/redis-work',
  'redis/keep-alive',
  'producer/awaiting-handlers',
  'behaviours/run-handle',
  'engine/ends-while-waiting',
  'behaviours/control',
  'server/routes',
  // npm run test:long
  'long/driver-kills',
  'long/redis-away',
  'long/worker-process',
  'long/http-workers.',
  'long/task-options',
  'long/lost-keys',
  'long/worker-kills',
  'long/peers',
  'long/lost-replies',
  'long/threads',
  'long/task-threads',
  'long/on-redis',
  'long/sessions-on-redis',
  'long/drivers',
  'long/matrix',
  'long/unclosed',
  'long/setup',
  'faults/worker-shutdown',
  'long/compiler-work',
  'long/pushed-work',
  'long/worker-records',
  'long/two-releases',
  'long/slots',
  'long/dev',
  'faults/unserved-tasks',
  'long/mandelbrot.',
  'long/results-of-nodes',
  'long/corruptions',
  // folders
  'behaviours/',
  'redis/',
  'faults/',
  'long/',
  'examples/',
  'types/',
  'server/',
  'command/',
].map((part) => `/test/${part}`)

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
