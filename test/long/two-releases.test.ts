/**
 * The package before runs outlived their drivers, and this one, on one Redis: both with clients and workers, and with runs in hand, while processes
 * of both are killed and started again. All runs end with their results, and the older release touches nothing that it cannot read.
 */
import { join } from 'node:path'
import { each, later, par, seq, waitFor, type Graflow } from 'graflow'
import { encode } from '../../lib/values/codec.js'
import { oldRelease } from '../support/old-release.js'
import type { Child } from '../support/processes.js'
import { useStage, type Stage } from '../support/redis-stage.js'
import { until, within } from '../support/waits.js'
import { asNumbers, begin, fork, frailTrip, keep, quick, total, trip, tripOf } from './two-releases.tasks.js'

/** The last commit before runs could be taken over, resumed, pinned, and wait. */
const BEFORE = '9bb248d'
const LONG_MS = 60_000

const tasks = join(__dirname, 'two-releases.tasks.ts')
const program = join(__dirname, 'two-releases.client.ts')
const open = useStage(tasks)

type ReleaseName = 'old' | 'new'

/** The processes of both releases on one stage. */
class Releases {
  readonly stage: Stage
  readonly #old = oldRelease(BEFORE)

  constructor(stage: Stage) {
    this.stage = stage
  }

  worker(release: ReleaseName, id = `${release}-worker`): Promise<Child> {
    return this.stage.worker(id, {
      maxConcurrentTasks: 32,
      env: { RELEASE: release },
      ...(release === 'old' ? { release: this.#old } : { flags: ['--build-id', 'new'] }),
    })
  }

  client(release: ReleaseName, how: 'start' | 'submit' | 'attach', id: string, input = 0): Child {
    const { server, prefix } = this.stage
    const args = [server.url, prefix, how, id, String(input)]
    return this.stage.spawnScript(program, args, release === 'old' ? this.#old : undefined)
  }

  /** Starts of tasks, by run. */
  starts(run: string): readonly { readonly task: string; readonly path: string; readonly release: string }[] {
    return this.stage.ledger
      .notes('start')
      .filter(({ details }) => details['run'] === run)
      .map(({ details }) => details as { task: string; path: string; release: string })
  }

  async until(run: string, task: string, count: number): Promise<void> {
    const isSo = (): boolean => this.starts(run).filter((start) => start.task === task).length >= count
    await until(isSo, () => `${count} × ${task} of ${run}, got ${JSON.stringify(this.starts(run))}`, 20_000)
  }
}

describe('a release and the one before it', () => {
  it('V4: finish their work and that of each other on one Redis, and the older leaves what it cannot read', async () => {
    const releases = new Releases(await open())
    const { stage } = releases
    Object.assign(process.env, stage.ledger.env) // for the steps that clients run here
    // The new release is there first: what it writes beside the version keeps the old one out of nothing.
    const client = await stage.client({ buildId: 'new', instanceId: 'new-client' })
    const driver = await stage.client({ buildId: 'new' })
    let [oldWorker, newWorker] = [await releases.worker('old'), await releases.worker('new')]
    expect(await stage.redis.hmget(stage.keys.main, 'v', 'layout')).toEqual(['3', '5'])

    const oldClient = releases.client('old', 'start', 'old-started', 1)
    const oldSubmitter = releases.client('old', 'submit', 'old-submitted', 2)
    await Promise.all([oldClient.said(/opened/), oldSubmitter.said(/opened/)])
    await driver.start(trip, 3, { id: 'new-started' })
    await client.submit(trip, 4, { id: 'new-submitted' })
    await client.submit(trip, 5, { id: 'pinned', pin: true })
    await submitNewer(stage, client, 6)
    const runs = ['old-started', 'old-submitted', 'new-started', 'new-submitted', 'pinned', 'newer']
    for (const run of runs) await releases.until(run, 'hold', 3)
    // Not the release decides what is the same, but the flow: one that is shaped the same gets the run that there is.
    expect((await client.start(seq(trip), 2, { id: 'old-submitted' })).id).toBe('old-submitted')

    // Both releases lose a worker and a driver, and an old process comes back.
    await oldWorker.kill9()
    await oldClient.kill9()
    oldWorker = await releases.worker('old', 'old-again')
    await driver.close()
    await newWorker.kill9()
    newWorker = await releases.worker('new', 'new-again')
    stage.ledger.open('go')
    await until(
      async () => (await (await client.attach('old-started')).status()).state === 'abandoned',
      'the old driver to be missed',
      30_000,
    )
    const results = Promise.all([
      (await client.resume('old-started', trip)).result(),
      ...runs.slice(1).map(async (id) => (await client.attach(id, trip)).result()),
    ])
    expect(await within(LONG_MS, results, () => `all results: ${JSON.stringify(stage.ledger.notes())}`)).toEqual(
      [1, 2, 3, 4, 5, 6].map(tripOf),
    )
    await oldSubmitter.said(new RegExp(`result ${tripOf(2)}`))
    for (const id of ['new-started', 'new-submitted', 'pinned', 'newer'])
      await releases.client('old', 'attach', id).said(/result \d+\n/)

    for (const run of ['pinned', 'newer'])
      expect(new Set(releases.starts(run).map(({ release }) => release))).toEqual(new Set(['new']))
    const byRelease = runs.slice(0, 4).flatMap((run) => releases.starts(run).map(({ release }) => release))
    expect([byRelease.includes('old'), byRelease.includes('new')]).toEqual([true, true])
    for (const run of runs) expectNothingTwice(releases, run)
    expect((await client.builds.list()).items).toEqual([{ buildId: 'new', workers: 1, runs: 0 }])
    expect(await stage.redis.exists(stage.keys.broken, stage.keys.quarantine, stage.keys.pins)).toBe(0)
    await Promise.all([oldWorker.kill9(), newWorker.kill9()])
  }, 120_000)
})

const SLEEP_MS = 2_000
/** What the older release cannot read, of tasks that its workers know, too. */
const sleeping = seq(begin, later(keep, SLEEP_MS), each(quick))
// of numbers there is nothing to label: what counts is that the graph says so
const labelled = seq(begin, each(quick).configure({ label: 'id' as never }))
const asking = seq(begin, par(fork, seq(waitFor('ok'), asNumbers)), total)

describe('runs that sleep, wait for a signal, or were opened again', () => {
  it('V4: are left to the newer release, whoever is killed meanwhile, and end with their results', async () => {
    const releases = new Releases(await open())
    const { stage } = releases
    const client = await stage.client({ buildId: 'new', instanceId: 'new-client' })
    const [oldWorker, newWorker] = [await releases.worker('old'), await releases.worker('new')]
    const stateOf = async (id: string) => (await (await client.attach(id)).status()).state
    const untilState = (id: string, state: string): Promise<void> =>
      until(
        async () => (await stateOf(id)) === state,
        () => `${id} is ${state}, got ${JSON.stringify(releases.starts(id))}`,
        20_000,
      )

    await client.submit(sleeping, 1, { id: 'sleeping' })
    await client.submit(asking, 2, { id: 'asking' })
    await client.submit(frailTrip, 3, { id: 'retried' })
    await client.submit(frailTrip, 4, { id: 'repeated' })
    await Promise.all([untilState('retried', 'failed'), untilState('repeated', 'failed')])
    await Promise.all([untilState('sleeping', 'waiting'), untilState('asking', 'waiting')])
    await Promise.all([oldWorker.kill9(), newWorker.kill9()])

    // Only the older one is at work while all of them could go on.
    const lonely = await releases.worker('old', 'old-again')
    stage.ledger.open('mended')
    await client.submit(labelled, 5, { id: 'labelled' })
    const failed = new Map(['retried', 'repeated'].map((run) => [run, releases.starts(run).length]))
    expect(await (await client.attach('asking')).signal('ok', [10])).toBe(true)
    expect(await client.runs.retry('retried')).toBe(true)
    expect(await client.runs.retry('repeated', { from: '1/0' })).toBe(true)
    await untilState('sleeping', 'pending') // its time has come
    expect(await (await client.submit(frailTrip, 7, { id: 'witness' })).result()).toEqual([7, 8, 9])
    // the branch that got its answer is ready, and the run waits for it
    expect(await Promise.all(['asking', 'retried', 'repeated', 'labelled'].map(stateOf))).toEqual([
      'waiting',
      'pending',
      'pending',
      'pending',
    ])

    // The newer one begins, is killed once more, and the older one is killed beside it.
    const midway = await releases.worker('new', 'new-again')
    await until(() => releases.starts('repeated').length > (failed.get('repeated') ?? 0), 'the newer one goes on')
    await midway.kill9()
    await lonely.kill9()
    const last = [await releases.worker('new', 'new-last'), await releases.worker('old', 'old-last')]
    const results = Promise.all(
      ['sleeping', 'asking', 'retried', 'repeated', 'labelled'].map(async (id) => (await client.attach(id)).result()),
    )
    expect(await within(LONG_MS, results, () => `all results: ${JSON.stringify(stage.ledger.notes())}`)).toEqual([
      [2, 3, 4],
      22,
      [3, 4, 5],
      [4, 5, 6],
      [6, 7, 8],
    ])
    const others = (run: string): string[] =>
      releases
        .starts(run)
        .slice(failed.get(run) ?? 0)
        .map(({ release }) => release)
    for (const run of ['sleeping', 'asking', 'retried', 'repeated', 'labelled'])
      expect([run, new Set(others(run))]).toEqual([run, new Set(['new'])])
    expect(new Set(releases.starts('witness').map(({ release }) => release))).toEqual(new Set(['old']))
    expect(await stage.redis.exists(stage.keys.broken, stage.keys.quarantine)).toBe(0)
    await Promise.all(last.map((worker) => worker.kill9()))
  }, 120_000)
})

/** A run that only releases with the layout of this one may drive, as those of flows that older releases cannot read. */
async function submitNewer(stage: Stage, client: Graflow, n: number): Promise<void> {
  const backend = await stage.backend()
  const { graph } = (await backend.inspect.run('new-submitted')) ?? { graph: '' }
  const answer = await backend.open({
    ...{ runId: 'newer', graph, digest: 'newer', input: encode(n, 'the input', 1_000, 'sharedInputBytes') },
    ...{ nonce: 'newer', tasks: ['begin', 'total'], requires: ['layout:4'], maxLosses: 1_000, timeoutMs: 0 },
    retentionMs: LONG_MS,
  })
  expect([answer.status, (await client.attach('newer', trip)).id]).toEqual(['ok', 'newer'])
}

/** What was finished is not done again by the new release; the old one may, where it goes on with a run that another process has driven. */
function expectNothingTwice(releases: Releases, run: string): void {
  const seen = new Set<string>()
  const again = releases.starts(run).filter(({ task, path, release }) => {
    const isAgain = seen.has(`${task} ${path}`)
    seen.add(`${task} ${path}`)
    return isAgain && task !== 'hold' && release !== 'old'
  })
  expect([run, again]).toEqual([run, []])
}
