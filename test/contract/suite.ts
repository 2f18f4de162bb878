/**
 * The contract of a backend, as questions that every backend answers alike. It sees nothing but the Backend interface and a harness
 * that lets time pass; times are short, because a real store has a real clock. One file a topic.
 */
import { describeAcquire } from './acquire.js'
import { describeBarrierEnds } from './barrier-ends.js'
import { describeByHand } from './by-hand.js'
import { describeChannels } from './channels.js'
import { describeControl } from './control.js'
import { describeDocuments } from './documents.js'
import { describeEventLog } from './event-log.js'
import { describeHints } from './hints.js'
import { describeInspect } from './inspect.js'
import { describeLeader } from './leader.js'
import { describeListRuns } from './list-runs.js'
import { describeLimits } from './limits.js'
import { describeLocks } from './locks.js'
import { describeNodes } from './nodes.js'
import { describeOnlyTasks } from './only-tasks.js'
import { describeOpen } from './open.js'
import { describeRefusals } from './refusals.js'
import { describeRelease } from './release.js'
import { describeReopen } from './reopen.js'
import { describeSessions } from './sessions.js'
import { describeSharing } from './sharing.js'
import { describeSettle } from './settle.js'
import { describeStep } from './step.js'
import { describeSweep } from './sweep.js'
import { describeTakeOver } from './take-over.js'
import { describeTasksInHand } from './tasks-in-hand.js'
import { describeParking } from './parking.js'
import { describeProgress } from './progress.js'
import { describeWaits } from './waits.js'
import { describeWideLanes } from './wide-lanes.js'
import { type HarnessOptions, type MakeHarness, World } from '../support/world.js'

/** The questions in two halves that take about the same real time, so that two files can ask a store with a real clock. */
export const HALVES = ['work', 'time'] as const
export type Half = (typeof HALVES)[number]

/** Asks a backend everything, or one half. `makeHarness` opens an empty store. */
export function describeBackend(name: string, makeHarness: MakeHarness, halves: readonly Half[] = HALVES): void {
  describe(`the backend contract, kept by ${name}`, () => {
    const worlds: World[] = []
    const useWorld = async (options: HarnessOptions = {}): Promise<World> => {
      const world = await World.make(await makeHarness(options))
      worlds.push(world)
      return world
    }
    afterEach(async () => {
      for (const world of worlds.splice(0)) await world.harness.close()
    })

    if (halves.includes('work')) {
      describe('open', () => describeOpen(useWorld))
      describe('step', () => describeStep(useWorld))
      describe('acquire', () => describeAcquire(useWorld))
      describe('sharing', () => describeSharing(useWorld))
      describe('wide lanes', () => describeWideLanes(useWorld))
      describe('sessions for single tasks', () => describeOnlyTasks(useWorld))
      describe('settle', () => describeSettle(useWorld))
      describe('barrier', () => describeRelease(useWorld))
      describe('run that ends with a barrier', () => describeBarrierEnds(useWorld))
      describe('control', () => describeControl(useWorld))
      describe('channels', () => describeChannels(useWorld))
      describe('inspect', () => describeInspect(useWorld))
      describe('take-over', () => describeTakeOver(useWorld))
      describe('waits', () => describeWaits(useWorld))
      describe('progress', () => describeProgress(useWorld))
      describe('reopen', () => describeReopen(useWorld))
      describe('by hand', () => describeByHand(useWorld))
      describe('lists of runs', () => describeListRuns(useWorld))
      describe('refusals', () => describeRefusals(useWorld))
      describe('log of events', () => describeEventLog(useWorld))
      describe('documents', () => describeDocuments(useWorld))
    }
    if (halves.includes('time')) {
      describe('session', () => describeSessions(useWorld))
      describe('sweep', () => describeSweep(useWorld))
      describe('tasks in hand', () => describeTasksInHand(useWorld))
      describe('hints', () => describeHints(useWorld))
      describe('parking', () => describeParking(useWorld))
      describe('leader', () => describeLeader(useWorld))
      describe('nodes', () => describeNodes(useWorld))
      describe('locks', () => describeLocks(useWorld))
      describe('limits', () => describeLimits(useWorld))
    }
  })
}
