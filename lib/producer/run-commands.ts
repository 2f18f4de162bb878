/** Commands on runs by their id. Where a run is driven makes no difference: the store does what is asked, and its processes follow. */
import type { Backend, Decision, GroupStatus, ReopenRequest, RunRecord, SavedValues } from '../backend/backend.js'
import { type Decided, isFailureMark, markByHand, markOf, outcomeByHand } from '../engine/by-hand.js'
import { describe } from '../describe.js'
import { isEnded } from '../engine/driver.js'
import { cancelled, type Engine } from '../engine/engine.js'
import { codeFrom } from '../engine/routing.js'
import { checksumsNaming } from '../engine/checksums.js'
import { isTimeMark } from '../engine/wait-marks.js'
import { marksNaming } from '../engine/step-journal.js'
import { GraflowError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { nodeAt, staticPath } from '../graph/locate.js'
import { repeatFrom, type Repeat } from '../graph/repeat-from.js'
import { checkOptions, RUN_OPTIONS } from '../options.js'
import type { Clock } from '../time.js'
import { encodeFailure } from '../values/codec.js'
import { item } from '../values/packed-items.js'
import { runNotFound } from './handle-services.js'
import { nonceFrom } from './nonce-from.js'
import type { RetryRunOptions, SettleOptions } from './operator-types.js'

export interface RunCommandServices {
  readonly backend: Pick<Backend, 'control' | 'reopen' | 'decide' | 'inspect'>
  readonly engine: Pick<Engine, 'graphs' | 'parts'>
  readonly clock: Clock
  readonly newId: () => string
  /** The run waits for a driver: this process drives it, if it may and can, or sees to it that somebody is told where nobody can. */
  readonly goesOn: (record: RunRecord, graph: Graph, step: number) => Promise<void>
}

/** A store that is still closing what is below a run is asked again after so long. */
const PAUSE_MS = 20
const DELETED = 'it was deleted'
/** Outputs and groups that one call forgets at most. */
const MOST_FORGOTTEN = 200

const KEY = { idempotencyKey: RUN_OPTIONS.idempotencyKey } as const
const RETRY_OPTIONS = { from: { kind: 'string', help: '' }, ...KEY } as const

export class RunCommands {
  readonly #services: RunCommandServices

  constructor(services: RunCommandServices) {
    this.#services = services
  }

  async retry(id: string, options?: RetryRunOptions): Promise<boolean> {
    checkId('retry', id)
    const { from, idempotencyKey } = checkOptions<RetryRunOptions>('runs.retry', RETRY_OPTIONS, options)
    const nonce = this.#nonceOf(idempotencyKey, 'retry', from)
    const record = await this.#services.backend.inspect.run(id)
    if (record === undefined) throw runNotFound(id)
    const isRepeated = record.reopenedBy.includes(nonce)
    if (isRepeated && (isEnded(record) || record.reopenedBy[0] !== nonce)) return true
    if (!isRepeated && (!isEnded(record) || (record.state === 'completed' && from === undefined))) return false
    const graph = await this.#graphOf(record)
    const repeat = from === undefined ? undefined : repeatFrom(graph, from)
    if (from !== undefined && repeat === undefined) throw noSuchPlace(id, from)
    // a repeat goes on with it: whoever was to go on may have been lost before it could
    if (!isRepeated) {
      const parts = repeat === undefined ? await this.#withoutFailures(id) : await this.#partsOf(id, graph, repeat)
      if (!(await this.#reopen(id, parts, nonce))) return false
    }
    await this.#services.goesOn(record, graph, repeat?.step ?? 0)
    return true
  }

  /** The same from what failed, for a worker to drive: with many runs this process would have them all. */
  async retryByWorkers(id: string): Promise<boolean> {
    const record = await this.#services.backend.inspect.run(id)
    if (record === undefined || !isEnded(record) || record.state === 'completed') return false
    await this.#graphOf(record)
    return this.#reopen(id, await this.#withoutFailures(id))
  }

  async settle(id: string, path: string, as: Decided, options?: SettleOptions): Promise<boolean> {
    checkId('settle', id)
    checkDecision(as)
    const nonce = this.#nonceOf(checkOptions<SettleOptions>('runs.settle', KEY, options).idempotencyKey, 'settle', path)
    const { backend, engine } = this.#services
    const record = await backend.inspect.run(id)
    if (record === undefined) throw runNotFound(id)
    if (record.byHand.some((one) => one.nonce === nonce)) {
      if (record.reopenedBy[0] === nonce && !isEnded(record))
        await this.#services.goesOn(record, await this.#graphOf(record), 0)
      return true
    }
    if (isEnded(record) && record.state !== 'failed') return false
    const graph = await this.#graphOf(record)
    const place = placeByHand(graph, id, path, await backend.inspect.groups(id))
    if (place === undefined) throw noSuchDecision(id, path)
    if (place === 'nobody there' || (isEnded(record) && (await this.#hasEnded(id, path, place)))) return false
    const { resultBytes } = engine.parts.limits
    const { gid, index, mark } = place
    const value = mark === undefined ? outcomeByHand(path, as, resultBytes) : markByHand(path, as, resultBytes)
    const decided = 'succeed' in as ? 'succeeded' : 'fail' in as ? 'failed' : 'skipped'
    const decision: Decision = {
      ...{ nonce, path, as: decided, gid, index, value },
      ...(mark !== undefined && { mark }),
    }
    if (!isEnded(record)) {
      const forget = place.branch === undefined ? [] : forgotten(await backend.inspect.saved(id, place.branch))
      return (await backend.decide(id, { ...decision, forget })) === 'ok'
    }
    const redo = mark === undefined ? [{ gid, indexes: [index] }] : []
    if (!(await this.#reopen(id, { ...(await this.#withoutFailures(id)), redo, decision }, nonce))) return false
    await this.#services.goesOn(record, graph, 0)
    return true
  }

  /** Whether a branch or step of a run that is over has succeeded, or was decided: that stays, and the run is not opened again for it. */
  async #hasEnded(id: string, path: string, { gid, index, mark }: Place): Promise<boolean> {
    const { inspect } = this.#services.backend
    if (mark !== undefined) {
      const [output, decided] = await Promise.all([inspect.output(id, path), inspect.output(id, mark)])
      return output !== undefined || (decided !== undefined && !isFailureMark(mark, decided))
    }
    for (let after = 0; ; ) {
      const page = await inspect.outcomes(gid, after)
      for (const { indexes, kinds } of page?.chunks ?? [])
        for (const [i, of] of indexes.entries()) if (of === index) return kinds[i] === 'succeeded'
      if (page === undefined || page.withdrawn !== undefined || page.next === after) return false
      after = page.next
    }
  }

  async delete(id: string): Promise<boolean> {
    checkId('delete', id)
    const value = encodeFailure(cancelled(id, DELETED))
    for (let calls = 0; ; calls += 1) {
      const answer = await this.#services.backend.control({ kind: 'delete-run', runId: id, reason: DELETED, value })
      if (answer === 'gone') return calls > 0
      if (calls > 1) await this.#pause()
    }
  }

  /** It is there for workers, too. @throws GraflowError NOT_KEPT */
  async #graphOf({ runId, graph: hash }: RunRecord): Promise<Graph> {
    const { graphs } = this.#services.engine
    try {
      const graph = await graphs.load(hash)
      await graphs.upload(hash, graph)
      return graph
    } catch (error) {
      if (error instanceof GraflowError && error.code === 'NO_GRAPH') throw notKept(runId, 'its graph is not', error)
      throw error
    }
  }

  async #withoutFailures(id: string): Promise<Parts> {
    return { forget: forgotten(await this.#services.backend.inspect.saved(id, '')) }
  }

  /** What is to be forgotten so that the run is done again from a place on. */
  async #partsOf(id: string, graph: Graph, { step, forgets, drops, redo }: Repeat): Promise<Parts> {
    const { inspect } = this.#services.backend
    const [saved, groups] = await Promise.all([inspect.saved(id, ''), inspect.groups(id)])
    const pathOf = (gid: string): string => gid.slice(id.length + 1)
    return {
      need: codeFrom(graph, step),
      forget: forgotten(saved, forgets),
      drop: groups.map(({ gid }) => gid).filter((gid) => drops(pathOf(gid))),
      redo: redo.flatMap(({ path, index }) => {
        const group = groups.find(({ gid }) => pathOf(gid) === path)
        if (group !== undefined && index >= group.size) throw noSuchBranch(id, { path, index }, group.size)
        return group === undefined ? [] : [{ gid: group.gid, indexes: [index] }]
      }),
    }
  }

  /** False when the run is not over (any more). @throws GraflowError NOT_KEPT, RUN_NOT_FOUND */
  async #reopen(
    runId: string,
    { forget = [], drop = [], ...parts }: Parts,
    nonce = this.#services.newId(),
  ): Promise<boolean> {
    const { backend } = this.#services
    const left = [...forget.map((path) => ({ path })), ...drop.map((gid) => ({ gid }))]
    for (;;) {
      const page = left.slice(0, MOST_FORGOTTEN)
      const isPartial = left.length > page.length
      const answer = await backend.reopen({
        ...{ runId, nonce, ...(isPartial ? { isPartial } : parts) },
        forget: page.flatMap((one) => ('path' in one ? [one.path] : [])),
        drop: page.flatMap((one) => ('gid' in one ? [one.gid] : [])),
      })
      if (answer === 'gone') throw runNotFound(runId)
      if (answer === 'not-kept') throw notKept(runId, 'inputs and outcomes of its groups are not')
      if (answer === 'running') return false
      if (answer === 'closing') await this.#pause()
      else if (!isPartial) return true
      else left.splice(0, page.length)
    }
  }

  /** How the store knows a repeat of the call. */
  #nonceOf(key: string | undefined, ...call: readonly (string | undefined)[]): string {
    return key === undefined ? this.#services.newId() : nonceFrom(key, ...call)
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#services.clock.after(PAUSE_MS, resolve)
    })
  }
}

const outputsOf = ({ paths, values }: SavedValues): [string, Uint8Array][] =>
  paths.map((path, i) => [path, item(values, i)])

/**
 * Outputs that a retry does not go on from: those that it `forgets`, and what says that a step was failed by hand, or that the time of a wait or
 * workflow is over. Checksums of what is forgotten go, too: it would be missed.
 */
function forgotten(saved: SavedValues, forgets: (path: string) => boolean = () => false): readonly string[] {
  const isOver = (path: string, value: Uint8Array): boolean => isFailureMark(path, value) || isTimeMark(path, value)
  const gone = new Set(saved.paths.filter((path, i) => forgets(path) || isOver(path, item(saved.values, i))))
  const isGone = (path: string): boolean => gone.has(path) || forgets(path)
  return [...new Set([...gone, ...checksumsNaming(saved, isGone), ...marksNaming(outputsOf(saved), forgets)])]
}

type Parts = Pick<ReopenRequest, 'need' | 'forget' | 'drop' | 'redo' | 'decision'>

/** `branch`: the path of the branch in which the step stands, where that is not the run itself. */
type Place = Pick<Decision, 'gid' | 'index' | 'mark'> & { readonly branch?: string }

/** The branch that a decision is about, or the one that comes to the step that it is about; undefined where the path is of neither. */
function placeByHand(
  graph: Graph,
  id: string,
  path: string,
  groups: readonly GroupStatus[],
): Place | 'nobody there' | undefined {
  const node = nodeAt(graph, staticPath(graph, path) ?? path)
  if (node === undefined || path.includes('*')) return undefined
  const branch = branchAt(graph, path)
  const isThere = (at: string): boolean => groups.some(({ gid }) => gid === `${id}/${at}`)
  const around = groups.find(({ gid }) => gid === `${id}/${branch?.path ?? ''}`)
  if (branch !== undefined && around !== undefined && branch.index >= around.size)
    throw noSuchBranch(id, branch, around.size)
  if (branch !== undefined)
    return isThere(branch.path) ? { gid: `${id}/${branch.path}`, index: branch.index } : 'nobody there'
  if (node.kind !== 'task') return undefined
  // a step that was dispatched is a group of one
  if (isThere(path)) return { gid: `${id}/${path}`, index: 0 }
  const mark = markOf(path)
  for (let at = path; at.includes('/'); at = at.slice(0, at.lastIndexOf('/'))) {
    const around = branchAt(graph, at)
    if (around !== undefined)
      return isThere(around.path)
        ? { gid: `${id}/${around.path}`, index: around.index, mark, branch: at }
        : 'nobody there'
  }
  return { gid: id, index: 0, mark }
}

/** The group and number of a path that is a branch. */
function branchAt(graph: Graph, path: string): { readonly path: string; readonly index: number } | undefined {
  const cut = path.lastIndexOf('/')
  if (cut < 0) return undefined
  const [above, segment] = [path.slice(0, cut), path.slice(cut + 1)]
  const node = nodeAt(graph, staticPath(graph, above) ?? above)
  if (node?.kind === 'each') return { path: above, index: Number(segment) }
  if (node?.kind !== 'group') return undefined
  return { path: above, index: node.keys?.indexOf(segment) ?? Number(segment) }
}

const noSuchBranch = (runId: string, { path, index }: { path: string; index: number }, size: number): GraflowError =>
  new GraflowError(
    'RESULT_NOT_FOUND',
    `run "${runId}" has no branch ${index} in its group at ${path}, which has ${size === 1 ? 'only branch 0' : `branches 0 to ${size - 1}`}`,
    { details: { runId, path: `${path}/${index}` } },
  )

const noSuchDecision = (runId: string, path: string): GraflowError =>
  new GraflowError(
    'INVALID_OPTION',
    `runs.settle: expected the path of a branch, or of a step that is a task, of the flow of run "${runId}", got ${describe(path)}`,
    { details: { option: 'path', runId, path } },
  )

/** Callers may have no types. @throws GraflowError INVALID_OPTION */
function checkDecision(as: unknown): asserts as is Decided {
  const keys = typeof as === 'object' && as !== null ? Object.keys(as) : []
  const [key = ''] = keys
  const isOne = keys.length === 1 && ['succeed', 'fail', 'skip'].includes(key)
  if (isOne && (key !== 'skip' || (as as { readonly skip: unknown }).skip === true)) return
  throw new GraflowError(
    'INVALID_OPTION',
    `runs.settle: expected { succeed: value }, { fail: reason } or { skip: true }, got ${describe(as)}`,
    { details: { option: 'as' } },
  )
}

const notKept = (runId: string, what: string, cause?: unknown): GraflowError =>
  new GraflowError(
    'NOT_KEPT',
    `run "${runId}" cannot be retried: ${what} kept any more (a completed run keeps them for ten minutes, any other as long as its record): start another`,
    { details: { runId }, ...(cause !== undefined && { cause }) },
  )

const noSuchPlace = (runId: string, from: string): GraflowError =>
  new GraflowError(
    'INVALID_OPTION',
    `runs.retry: from: expected the path of a step or branch of the flow of run "${runId}", such as 1 or 1/0, got ${describe(from)}`,
    { details: { option: 'from', runId, from } },
  )

/** Callers may have no types. @throws GraflowError INVALID_OPTION */
function checkId(what: string, id: unknown): void {
  if (typeof id === 'string') return
  throw new GraflowError('INVALID_OPTION', `runs.${what} takes the id of a run, a string, got ${describe(id)}`, {
    details: { option: 'id' },
  })
}
