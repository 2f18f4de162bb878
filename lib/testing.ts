/** What tests of flows need: time that moves only when told to, and repeatable randomness. */
export { manualClock, seededRandom, type ManualClock, type Random } from './time.js'
