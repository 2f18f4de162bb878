/**
 * What tests of flows need: `testRun` with stand-ins and faults; and for `connect({ clock, random })`, time that moves only when told to, and
 * repeatable randomness. Nothing here needs a test framework.
 */
export { failAttempt, hang, loseWorker, standIn, type Fault, type FaultPlace, type StandIn } from './testing/faults.js'
export { testRun, type TestOptions, type TestRun, type TestState } from './testing/test-run.js'
export type { TestStart } from './testing/cast.js'
export type { TestWait } from './testing/test-waits.js'
export { manualClock, seededRandom, systemClock, type Clock, type ManualClock, type Random } from './time.js'
