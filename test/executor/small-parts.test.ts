/** The executor's smallest parts, each by itself. */
import { Condition } from '../../lib/executor/condition.js'
import { InFlight } from '../../lib/executor/in-flight.js'
import { GrantInFlight } from '../../lib/executor/grant-in-flight.js'
import { PendingGrants } from '../../lib/executor/pending-grants.js'
import { Phase } from '../../lib/executor/phase.js'
import { StoreCheck } from '../../lib/executor/store-check.js'
import { Turn } from '../../lib/executor/turn.js'
import { manualClock } from '../../lib/time.js'
import { ExecutorStage, nextTurn, prepare } from './executor-stage.js'

describe('the phase of an executor', () => {
  it('goes on from taking to quiet to stopped, and never back', () => {
    const phase = new Phase()
    expect([phase.current, phase.quiet(), phase.current, phase.quiet()]).toEqual(['taking', true, 'quiet', false])
    phase.stop()
    expect([phase.quiet(), phase.current]).toEqual([false, 'stopped'])
  })
})

describe('a turn', () => {
  it('runs once for all that was planned, after the code that planned it, and again for what follows', async () => {
    const runs: string[] = []
    const turn = new Turn(manualClock(), () => {
      runs.push('run')
      if (runs.length === 1) turn.plan()
    })
    turn.plan()
    turn.plan()
    expect(runs).toEqual([])
    await nextTurn()
    expect(runs).toEqual(['run', 'run'])
  })

  it('keeps the time of the last look', () => {
    const clock = manualClock(50_000)
    const turn = new Turn(clock, () => undefined)
    clock.advance(30)
    expect([turn.now, turn.look(), turn.now]).toEqual([0, 30, 30])
  })
})

describe('a condition', () => {
  it('is told to all who wait at the first check that finds it met', async () => {
    let isMet = false
    const told: number[] = []
    const condition = new Condition(() => isMet)
    void condition.met().then(() => told.push(1))
    void condition.met().then(() => told.push(2))
    condition.check()
    await nextTurn()
    expect([told, condition.isAwaited]).toEqual([[], true])
    isMet = true
    condition.check()
    await nextTurn()
    expect([told, condition.isAwaited]).toEqual([[1, 2], false])
  })
})

describe('pending grants', () => {
  it('may be withdrawn, by grant or by group, until none is pending', () => {
    let none = 0
    const pending = new PendingGrants(() => (none += 1))
    pending.withdraw('early')
    pending.begin()
    pending.begin()
    pending.withdraw('token')
    pending.withdraw('run/0')
    expect(pending.isWithdrawn('early', 'early')).toBe(false) // nothing was pending then
    expect([pending.isWithdrawn('run/1', 'token'), pending.isWithdrawn('run/0', 'other')]).toEqual([true, true])
    pending.end()
    expect([pending.isNone, pending.isWithdrawn('run/1', 'token'), none]).toEqual([false, true, 0])
    pending.end()
    expect([pending.isNone, pending.isWithdrawn('run/1', 'token'), none]).toEqual([true, false, 1])
  })
})

describe('what is in flight', () => {
  it('is busy from the first grant until the last branch of the last is over', async () => {
    const stage = await ExecutorStage.open()
    const busy: boolean[] = []
    const inFlight = new InFlight((isBusy) => busy.push(isBusy))
    const a = new GrantInFlight(prepare(await stage.grant(2)), undefined, 0)
    const b = new GrantInFlight(prepare(await stage.grant(1)), undefined, 0)
    inFlight.add(a)
    inFlight.add(b)
    expect([inFlight.isEmpty, inFlight.started, [...inFlight.all()], [...inFlight.of(a.grant.spec.gid)]]).toEqual([
      ...[false, 0],
      [a, b],
      [a],
    ])
    const branch = { execution: undefined, end: () => undefined }
    a.branches.push(branch, branch)
    expect([inFlight.started, [...inFlight.tasks]]).toEqual([2, [['work', 2]]])
    a.endBranch(0)
    inFlight.forgetIfOver(a)
    expect([inFlight.started, inFlight.of(a.grant.spec.gid).size]).toEqual([1, 1])
    a.endBranch(1)
    inFlight.forgetIfOver(a)
    expect([inFlight.of(a.grant.spec.gid).size, b.withdrawUnstarted(), busy]).toEqual([0, 1, [true]])
    inFlight.forgetIfOver(b)
    expect([inFlight.isEmpty, busy]).toEqual([true, [true, false]])
  })
})

describe('a check of the store', () => {
  const open = (
    isDistant = true,
  ): { readonly causes: string[]; readonly check: StoreCheck; advance(ms: number): void } => {
    const clock = manualClock()
    const causes: string[] = []
    const check = new StoreCheck({ clock, ...(isDistant && { distant: { random: () => 0.5 } }) }, (cause) =>
      causes.push(cause),
    )
    return { causes, check, advance: (ms) => clock.advance(ms) }
  }

  it('is made when something is due, or in case a notice was lost, a little later each', () => {
    const { causes, check, advance } = open()
    check.plan(100)
    advance(104)
    expect(causes).toEqual([])
    advance(1)
    expect(causes).toEqual(['due'])
    check.plan(5_000)
    advance(5_249)
    expect(causes).toEqual(['due'])
    advance(1)
    expect(causes).toEqual(['due', 'slow check'])
    advance(60_000)
    expect(causes).toHaveLength(2)
  })

  it('takes the place of the one before, until it is cancelled', () => {
    const { causes, check, advance } = open()
    check.plan(100)
    check.plan(1_000)
    advance(500)
    expect(causes).toEqual([])
    check.cancel()
    advance(5_000)
    expect(causes).toEqual([])
  })

  it('is not made of a store in this process', () => {
    const { causes, check, advance } = open(false)
    check.plan(100)
    advance(10_000)
    expect(causes).toEqual([])
  })
})
