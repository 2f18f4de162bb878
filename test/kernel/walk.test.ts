/**
 * Random walks over the kernel, seeded, so that a failure names its seed. GRAFLOW_WALKS and GRAFLOW_WALK_STEPS make them more and
 * longer.
 */
import { Walk } from './walk.js'

const WALKS = Number(process.env.GRAFLOW_WALKS ?? 30)
const STEPS = Number(process.env.GRAFLOW_WALK_STEPS ?? 400)
const FIRST_SEED = Number(process.env.GRAFLOW_WALK_SEED ?? 1)

/** What a set of walks must have met to be worth anything. */
const MUST_HAPPEN = [
  'open ok',
  'open exists',
  'step ok',
  'step done',
  'step fenced',
  'step conflict',
  'step nograph',
  'acquire ok',
  'acquire nosession',
  'settle ok',
  'settle dup',
  'settle fenced',
  'settle withdrawn',
  'settle gone',
  'end ok',
  'end done',
  'sweep ok',
  'sweep skip',
  'sweep grace',
  'withdraw-group ok',
  'withdraw-group fenced',
  'cancel-run ok',
  'fail-run ok',
  'fail-run fenced',
  'end-run ok',
  'pause-run ok',
  'resume-run ok',
  'outcome succeeded',
  'outcome failed',
  'outcome dead',
  'outcome cancelled',
  'outcome skipped',
  'granted after a loss',
  'granted after an error',
  'notice released',
  'notice withdrawn',
  'notice lost',
  'notice work',
  'notice idle',
  'signal ok',
  'signal late',
  'signal over',
  'take ok',
  'take late',
  'take held',
  'take nosession',
  'take over',
  'reopen ok',
  'reopen running',
  'reopen not-kept',
  'opened again',
  'decide ok',
  'decide failed',
  'decide late',
  'decide gone',
  'repeat',
  'hint',
  'time back',
] // prettier-ignore

describe('a random walk over the kernel', () => {
  it('keeps every invariant, changes nothing where it refuses or repeats, and lets nothing hang', () => {
    const counts = new Map<string, number>()
    for (let seed = FIRST_SEED; seed < FIRST_SEED + WALKS; seed++) {
      const walk = new Walk(seed)
      try {
        for (let i = 0; i < STEPS; i++) walk.step()
        walk.drain()
      } catch (error) {
        throw new Error(
          `seed ${seed}: ${error instanceof Error ? error.message : String(error)}\n${walk.log.slice(-15).join('\n')}`,
          { cause: error },
        )
      }
      for (const [what, count] of walk.counts) counts.set(what, (counts.get(what) ?? 0) + count)
    }
    expect(MUST_HAPPEN.filter((what) => !counts.has(what))).toEqual([])
  }, 600_000)
})
