/**
 * One superstep (BSP: Valiant 1990): a group is dispatched, its branches work, its barrier releases, its outcomes are read. What the outcomes
 * mean is the join's.
 *
 * The file is long because each way in which a group can be lost, late, refused or withdrawn is met where it happens.
 */
import type { Backend, StepAnswer, StepRequest } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { Emitter, Span } from '../events.js'
import { elapsedMs, type Clock } from '../time.js'
import { endOfPart, withLabels } from './branch-labels.js'
import type { BarrierWait, BarrierWaits } from './barrier-waits.js'
import { Cancellation } from './cancellation.js'
import { durable } from './durability.js'
import { emitRefused, partFrom } from './refused-branches.js'
import { GroupOutcomes } from './group-outcomes.js'
import { refusalOf, type Execution, type Frame } from './execution.js'
import { asError } from './failure.js'
import { fullStore, type GraphStore } from './graph-store.js'
import type { GroupPlan } from './group-plan.js'
import { Parking } from './parking.js'
import { codeFrom } from './routing.js'

/** What supersteps need of the process. */
export interface SuperstepsOptions {
  readonly backend: Backend
  readonly clock: Clock
  readonly emitter: Emitter
  readonly graphs: GraphStore
  readonly barrierWaits: BarrierWaits
}

/** How often a group that the store has lost is dispatched again before it fails with INTEGRITY. */
const MOST_STORE_LOSSES = 3
/** For so long a policy may decide about a group that was released before, though the time of the group is over: nobody may have been there meanwhile. */
const LEAST_DECISION_MS = 1_000

/** Runs supersteps; one a process. */
export class Supersteps {
  readonly #options: SuperstepsOptions

  constructor(options: SuperstepsOptions) {
    this.#options = options
  }

  /**
   * What `join` makes of the group's outcomes. A group that was closed before the run was retried, and is refused by its join, is opened again:
   * branches that succeeded keep their outcomes, the others run anew. @param hasEvents whether the group emits its own
   */
  async joined<T>(
    frame: Frame,
    plan: GroupPlan,
    join: (outcomes: GroupOutcomes) => T | Promise<T>,
    hasEvents = true,
  ): Promise<T> {
    const first = await this.run(frame, plan, hasEvents)
    if (!first.isOld) return join(first)
    try {
      if (!first.isWithdrawn) return await join(first)
    } catch (error) {
      if (first.succeeded.length === plan.spec.size) throw error
    }
    return join(await this.run(frame, { ...plan, isReopened: true }, hasEvents))
  }

  /** Dispatches a group, waits at its barrier without a slot, reads its outcomes. @param hasEvents whether the group emits its own */
  async run(frame: Frame, plan: GroupPlan, hasEvents = true): Promise<GroupOutcomes> {
    const { span } = frame.execution
    return span === undefined ? this.#run(frame, plan, hasEvents) : this.#traced(frame, plan, hasEvents, span)
  }

  /** The group has a span below that of its branch or run, and its own branches have theirs below it, wherever they run. */
  async #traced(frame: Frame, plan: GroupPlan, hasEvents: boolean, parent: Span): Promise<GroupOutcomes> {
    const { runId, size: width, queue } = plan.spec
    const span = this.#options.emitter.tracer?.start(
      'group',
      { runId, path: plan.path, name: plan.name, width, queue },
      parent,
    )
    if (span === undefined) return this.#run(frame, plan, hasEvents)
    try {
      const groupOutcomes = await this.#run(
        frame,
        { ...plan, spec: { ...plan.spec, trace: span.traceparent } },
        hasEvents,
      )
      const { failed, withdrawn } = groupOutcomes.counts
      span.set({ failed, withdrawn })
      return groupOutcomes
    } catch (error) {
      if (!(error instanceof Parking)) span.fail(asError(error))
      throw error
    } finally {
      span.end()
    }
  }

  async #run(frame: Frame, plan: GroupPlan, hasEvents: boolean): Promise<GroupOutcomes> {
    const { execution } = frame
    const { backend, clock, emitter } = this.#options
    const { gid, runId } = plan.spec
    const startedAt = elapsedMs(clock)
    const groupOutcomes = await this.#groupOutcomes(frame, plan, hasEvents)
    // one that may be opened again keeps what it has
    if (!groupOutcomes.isOld) execution.retire(gid)
    const { releasedAt } = groupOutcomes
    if (releasedAt !== undefined && emitter.has('barrier:released'))
      emitter.emit('barrier:released', { runId, path: plan.path, releasedAt })
    // Events of its branches come before all that follows. This costs nothing where this process does not watch the run.
    if (backend.onReconnected !== undefined) await backend.caughtUp(runId)
    if (hasEvents && emitter.isSubscribed('group:released', runId)) {
      const { succeeded, failed, withdrawn } = groupOutcomes.counts
      emitter.emit('group:released', {
        runId,
        path: plan.path,
        name: plan.name,
        succeeded,
        failed,
        withdrawn,
        durationMs: elapsedMs(clock) - startedAt,
      })
    }
    return groupOutcomes
  }

  /**
   * From the dispatch to the outcomes. A notice of a release is a hint: if the group is still open, this waits again. If the store has lost
   * the group (it was restored from an older state), this dispatches it again. Both begin with another dispatch.
   */
  async #groupOutcomes(frame: Frame, plan: GroupPlan, hasEvents: boolean): Promise<GroupOutcomes> {
    const { barrierWaits, emitter, clock } = this.#options
    const { gid, runId, size: width } = plan.spec
    let deadlineAt: number | undefined // not pushed out by a second dispatch
    for (let losses = 0; ; ) {
      const barrierWait = barrierWaits.expect(gid)
      try {
        // Emitted before the step: with a worker in this process, the first branches may be over when the step is.
        const emitDispatched = (): void =>
          emitter.emit('group:dispatched', { runId, path: plan.path, name: plan.name, width })
        const met = await this.#dispatch(
          frame,
          plan,
          hasEvents && deadlineAt === undefined ? emitDispatched : undefined,
        )
        deadlineAt ??=
          elapsedMs(clock) +
          (isBegunBefore(frame.execution) ? await this.#leftMs(plan) : (plan.timeoutMs ?? Number.POSITIVE_INFINITY))
        let unserved: GraflowError | undefined
        if (met === 'open' || met === 'idle') {
          barrierWait.dispatched(frame.use, plan.spec)
          unserved = await this.#waitAtBarrier(frame, plan, barrierWait, deadlineAt, met === 'idle')
        }
        const groupOutcomes = await this.#readOutcomes(plan)
        if (groupOutcomes instanceof GroupOutcomes) {
          groupOutcomes.isOld = met === 'old'
          const isAwaited = met === 'open' || met === 'idle'
          if (isAwaited && plan.spec.endsRun === true && groupOutcomes.hasEndedRun)
            frame.execution.hasEndedAtBarrier = true
          if (met === 'released') deadlineAt = Math.max(deadlineAt, elapsedMs(clock) + LEAST_DECISION_MS)
          if (met !== 'old') groupOutcomes.deadlineAt = deadlineAt
          if (unserved !== undefined) {
            const { task } = unserved.details
            // Without a task in the error, some worker knows each task, but none can serve the whole group.
            groupOutcomes.failWithdrawn(
              unserved,
              (index) => typeof task !== 'string' || plan.tasksOf(index).includes(task),
            )
          }
          return groupOutcomes
        }
        if (groupOutcomes === 'gone') losses += 1
      } finally {
        barrierWait.forget()
      }
      if (losses < MOST_STORE_LOSSES) continue
      throw new GraflowError('INTEGRITY', `the store has lost the group ${plan.label} ${losses} times`, {
        details: { group: plan.path },
      })
    }
  }

  /** How long a group may still take that an earlier start may have dispatched: then some of its time is over. */
  async #leftMs({ timeoutMs, spec }: GroupPlan): Promise<number> {
    if (timeoutMs === undefined) return Number.POSITIVE_INFINITY
    const { inspect } = this.#options.backend
    const [groups, { now }] = await Promise.all([inspect.groups(spec.runId), inspect.totals()])
    const openedAt = groups.find(({ gid }) => gid === spec.gid)?.openedAt ?? now
    return Math.max(0, timeoutMs - Math.max(0, now - openedAt))
  }

  /** `released`: it was so before; this is a second dispatch, after a crash. `idle`: all that is left of it is parked. */
  async #dispatch(
    frame: Frame,
    plan: GroupPlan,
    emitDispatched: (() => void) | undefined,
  ): Promise<'open' | 'idle' | 'released' | 'old'> {
    const { execution, use } = frame
    const { backend, graphs } = this.#options
    if (!graphs.isUploaded(use.hash)) await graphs.upload(use.hash, use.graph)
    emitDispatched?.()
    const total = plan.spec.shared ? 1 : plan.spec.size
    let save = execution.takeUnsaved()
    let retire = execution.takeRetired()
    execution.begin()
    // A fork stands below its handler, whose deadline stands still meanwhile (start.ts); any other group comes after the task that was in hand.
    const isFork = plan.path.includes('~')
    const task = !isFork && (execution.isInHand || execution.opening === undefined) ? ('none' as const) : undefined
    const rest = restFrom(frame, plan)
    let isUploadedAgain = false
    let isIdle = false
    let from = 0
    try {
      while (from < total) {
        frame.cancel.throwIfAborted()
        const part = partFrom(plan, from)
        const saved = plan.labelOf === undefined ? save : withLabels(save, plan, from, endOfPart(from, part.inputs))
        const step = stepOf(plan, { from, ...part }, { save: saved, retire, task, rest })
        const opened = execution.opening === undefined ? undefined : await execution.opening.step(step)
        const { holder, runId } = execution.facts
        const answer: StepAnswer = opened ?? (await backend.step({ holder, runId, ...step }))
        if (answer.status === 'nograph' && !isUploadedAgain) {
          isUploadedAgain = true
          await graphs.upload(use.hash, use.graph, true)
          continue
        }
        if (answer.status !== 'ok' && answer.status !== 'done') throw refused(answer.status, frame, plan)
        save = undefined
        retire = []
        if (task !== undefined) execution.setInHand(false)
        if (answer.status === 'done') {
          execution.meet(plan.path)
          return answer.isOld === true ? 'old' : 'released'
        }
        if (part.refused !== undefined) emitRefused(this.#options.emitter, frame, plan, part.refused.indexes)
        isIdle = answer.isIdle === true
        if (answer.fill <= from)
          throw new GraflowError('INTERNAL', `the group at ${plan.path} took no input at ${from}`)
        from = answer.fill
      }
      if (execution.facts.run?.durability !== undefined) await this.#durable(frame)
      return isIdle ? 'idle' : 'open'
    } catch (error) {
      if (save !== undefined) execution.putBack(save)
      // Its first items may run already, and no barrier will wait for them.
      if (from > 0 && execution.cancel.reason === undefined) await this.#isReleasedBeforeWithdrawn(frame, plan)
      throw error
    }
  }

  /** The run goes on once what it has saved and dispatched is as durable as its start asked for. */
  #durable({ execution: { facts }, cancel }: Frame): Promise<void> {
    return durable(this.#options, facts.runId, facts.run?.durability, () => cancel.reason !== undefined)
  }

  /**
   * Waits for the barrier; where all that is left of the group is parked, the waiting branch is given back, too. Answers the error of a group that no worker can serve; its unfinished branches are withdrawn.
   * @throws GraflowError GROUP_TIMEOUT, with the branches withdrawn; Parking; or why this branch must stop
   */
  async #waitAtBarrier(
    frame: Frame,
    plan: GroupPlan,
    barrierWait: BarrierWait,
    deadlineAt: number,
    isIdle: boolean,
  ): Promise<GraflowError | undefined> {
    const { clock } = this.#options
    const { execution } = frame
    const { timeoutMs } = plan
    const expired = new Cancellation(frame.cancel)
    const leave = execution.over.onAbort((reason) => expired.abort(reason))
    const disarm =
      timeoutMs === undefined
        ? undefined
        : clock.after(Math.max(0, deadlineAt - elapsedMs(clock)), () => expired.abort(groupTimeout(plan, timeoutMs)))
    try {
      return await execution.withoutSlot(async () => {
        try {
          const released = barrierWait.promise.then(() => false)
          const idle = isIdle ? Promise.resolve() : barrierWait.idle
          const isToPark = await expired.race(
            frame.isHeld === true ? released : Promise.race([released, idle.then(() => true)]),
          )
          const leftMs = deadlineAt - elapsedMs(clock)
          if (isToPark && leftMs > 0) throw parkedUntil(plan, leftMs)
          if (isToPark) await expired.race(released)
          return undefined
        } catch (reason) {
          if (reason instanceof Parking) throw reason
          return await this.#endWait(frame, plan, reason)
        }
      })
    } finally {
      disarm?.()
      leave()
      expired.leave()
    }
  }

  /**
   * The wait was ended for this reason. Called before the branch has its slot again: what the group holds may be the only one. Answers the
   * reason where no worker can serve the group, and nothing where the group was released before it could be withdrawn; else throws it.
   */
  async #endWait(frame: Frame, plan: GroupPlan, reason: unknown): Promise<GraflowError | undefined> {
    const { cancel, over } = frame.execution
    if (reason instanceof GraflowError && reason.code === 'NO_HANDLER') {
      await this.#isReleasedBeforeWithdrawn(frame, plan)
      return inHand(frame, reason)
    }
    // A whole branch is withdrawn with all below it; a part of one (a deadline inside) must withdraw its own group.
    const isGone = cancel.reason !== undefined || over.reason !== undefined
    if (isGone || !(await this.#isReleasedBeforeWithdrawn(frame, plan))) throw reason
    return undefined
  }

  /** Withdraws the group; true when it was released before and its outcomes are wanted. */
  async #isReleasedBeforeWithdrawn(frame: Frame, plan: GroupPlan): Promise<boolean> {
    const answer = await this.#options.backend.control({
      kind: 'withdraw-group',
      holder: frame.execution.facts.holder,
      gid: plan.spec.gid,
    })
    if (answer !== 'ok' && answer !== 'dup') throw fenced(frame)
    return answer === 'dup' && frame.cancel.reason === undefined
  }

  /** The outcomes, page by page; or why there are none (yet). */
  async #readOutcomes(plan: GroupPlan): Promise<GroupOutcomes | 'open' | 'gone'> {
    const groupOutcomes = new GroupOutcomes(plan)
    const pageAfter = (after: number) => this.#options.backend.inspect.outcomes(plan.spec.gid, after)
    for (let after = 0, next = pageAfter(0); ; ) {
      const page = await next
      if (page === undefined) return 'gone'
      if (page.state === 'open') return 'open'
      if (page.next === after && page.withdrawn === undefined)
        throw new GraflowError('INTERNAL', `the outcomes of the group ${plan.label} end after ${after} chunks`)
      after = page.next
      if (page.withdrawn === undefined) {
        next = pageAfter(after) // arrives while this one is read
        next.catch(() => undefined) // the next turn of this loop awaits it, and throws
      }
      groupOutcomes.add(page)
      if (page.withdrawn !== undefined) return groupOutcomes
    }
  }
}

/** The step that brings a part of a group. */
function stepOf(
  plan: GroupPlan,
  part: Omit<NonNullable<StepRequest['group']>, 'spec' | 'isReopened'>,
  { save, retire, task, rest }: { readonly [K in 'save' | 'retire' | 'task' | 'rest']: StepRequest[K] | undefined },
): Omit<StepRequest, 'holder' | 'runId'> {
  return {
    ...(save !== undefined && { save }),
    ...(retire !== undefined && retire.length > 0 && { retire }),
    ...(task !== undefined && { task }),
    ...(rest !== undefined && { rest }),
    group: { spec: plan.spec, ...part, ...(plan.isReopened === true && { isReopened: true }) },
  }
}

/** What another driver of the run would need from here on, where that is less than before; undefined of a branch, and of a flow that a handler brought. */
function restFrom({ execution, use }: Frame, { path }: GroupPlan): readonly string[] | undefined {
  if (execution.facts.depth > 0 || use.base !== '') return undefined
  const step = Number.parseInt(path, 10)
  const before = execution.reach(step)
  const rest = codeFrom(use.graph, step)
  // of fewer steps it is a part
  return step > before && rest.length < codeFrom(use.graph, before).length ? rest : undefined
}

/** Whether an earlier start may have dispatched what this one dispatches. */
const isBegunBefore = ({ isTakenUp, facts }: Execution): boolean => isTakenUp || facts.isAgain === true

const parkedUntil = ({ spec: { gid } }: GroupPlan, leftMs: number): Parking =>
  new Parking({ until: gid, ...(leftMs < Number.POSITIVE_INFINITY && { dueMs: Math.ceil(leftMs) }) })

/** Why a write was refused: what stopped this part of the branch, or the whole of it. */
export const fenced = (frame: Frame): Error => frame.cancel.reason ?? refusalOf(frame.execution)

const groupTimeout = ({ label, path, name }: GroupPlan, timeoutMs: number): GraflowError =>
  new GraflowError(
    'GROUP_TIMEOUT',
    `group ${label} took longer than its timeoutMs of ${timeoutMs}; its unfinished branches were withdrawn`,
    { details: { group: path, name, timeoutMs } },
  )

/** Why a group was not dispatched. */
function refused(status: Exclude<StepAnswer['status'], 'ok' | 'done'>, frame: Frame, plan: GroupPlan): Error {
  switch (status) {
    case 'nograph':
      return new GraflowError('NO_GRAPH', `the store does not keep graph ${frame.use.hash}`, {
        details: { graph: frame.use.hash },
      })
    case 'conflict':
      return new GraflowError(
        'NON_DETERMINISTIC',
        `expected at ${plan.path} the group of an earlier start, got another flow or number of items: a handler that starts again must make ` +
          'the same ctx.run calls, in the same order; take what changes from its input, or from a fork of its own',
        { details: { path: plan.path } },
      )
    case 'fenced':
      return fenced(frame)
    case 'backpressure':
      return fullStore(`the group ${plan.label}`)
    default:
      return status satisfies never
  }
}

/** NO_HANDLER for a task of a flow that a handler brought: where its handler is here, that it must be exported is what is missing. */
function inHand({ use }: Frame, error: GraflowError): GraflowError {
  const { task } = error.details
  if (use.outer === undefined || typeof task !== 'string' || use.code.task(task)?.handler === undefined) return error
  const message = `${error.message}; the handler that runs it here has it, but other workers know only what task modules export: export "${task}"`
  return new GraflowError('NO_HANDLER', message, { details: error.details })
}
