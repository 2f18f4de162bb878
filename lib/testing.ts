/** What tests of flows need: time that moves only when told to, and repeatable randomness. `connect({ clock, random })` takes them. */
export { manualClock, seededRandom, systemClock, type Clock, type ManualClock, type Random } from './time.js'
