/**
 * Kills the process that drives a run at one point, and finds out whether another goes on as if nothing had happened: the same result, and nothing
 * that was finished is done again. A fault proxy between that process and Redis says when the point is reached.
 */
import { join } from 'node:path'
import type { Graflow } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { workerHere } from '../support/local-worker.js'
import { script, type Stage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'
import { DRIVER_STEPS, journey } from './drivers.tasks.js'

const DRIVER = join(__dirname, 'driver.ts')

export const POINTS = ['before it is sent', 'with its reply lost', 'just after it'] as const

/** How a process came to drive the run, who goes on, and the call at which it is killed: the n-th of its kind, from 1. */
export interface Kill {
  /** `start`: a worker takes over. `run`, and `resume` of a run that nobody drove: a client resumes it that stood by. */
  readonly how: 'start' | 'run' | 'resume'
  readonly call: 'open' | 'take' | 'step'
  readonly number: number
  readonly point: (typeof POINTS)[number]
}

/** Steps that the driver of a `journey` takes. */
export const STEPS = 7

/** Every kill that is worth one; a call that opens nothing leaves nothing to go on with. */
export const KILLS: readonly Kill[] = (['start', 'run', 'resume'] as const).flatMap((how) => {
  const calls = [
    { call: how === 'resume' ? ('take' as const) : ('open' as const), number: 1 },
    ...Array.from({ length: STEPS }, (_, i) => ({ call: 'step' as const, number: i + 1 })),
  ]
  return calls.flatMap((at) => POINTS.map((point) => ({ how, ...at, point })))
})

export const nameOf = ({ how, call, number, point }: Kill): string => `${how}: ${call} ${number}, ${point}`

/** Where each task of a journey was started, and how often. */
type Starts = Readonly<Record<string, number>>

/** What all kills of a test work with. */
export class DriverKills {
  readonly #stage: Stage
  readonly #client: Graflow
  #runs = 0

  private constructor(stage: Stage, client: Graflow) {
    this.#stage = stage
    this.#client = client
  }

  /** With a worker in this process, which drives runs that nobody else may resume. */
  static async on(stage: Stage, how: Kill['how']): Promise<DriverKills> {
    await workerHere(stage, 'w', [journey], { driveRuns: how === 'start' })
    return new DriverKills(stage, await stage.client())
  }

  /** A journey that nothing happens to, as all others must be. How many steps its driver took. */
  async undisturbed(): Promise<{ readonly result: unknown; readonly starts: Starts; readonly steps: number }> {
    const id = this.#newId()
    const proxy = await this.#stage.proxy()
    let steps = 0
    const isStep = script('step')
    proxy.arm('hold-request', (args) => {
      if (isStep(args)) steps += 1
      return false
    })
    const client = await this.#stage.client({}, proxy.url)
    const result = await client.run(journey, 3, { id })
    await client.close()
    return { result, starts: this.#startsOf(id), steps }
  }

  /** Kills a driver there. Expects that the run, if it was opened, ends as the undisturbed one. */
  async expectSame(kill: Kill, undisturbed: { readonly result: unknown; readonly starts: Starts }): Promise<void> {
    const id = this.#newId()
    if (kill.how === 'resume') await this.#client.submit(journey, 3, { id, ifLost: 'abandon' })
    await this.#kill(kill, id)
    if (kill.call === 'open' && kill.point === 'before it is sent') {
      expect(await failureOf(this.#client.attach(id))).toMatchObject({ code: 'RUN_NOT_FOUND' })
      return
    }
    const run = kill.how === 'start' ? await this.#client.attach(id) : await this.#client.resume(id, journey)
    expect(await run.result()).toEqual(undisturbed.result)
    const starts = this.#startsOf(id)
    expect(Object.keys(starts).sort()).toEqual(Object.keys(undisturbed.starts).sort())
    // What the workers did was not done again; a step of the driver may have been under way, or not saved yet.
    const again = Object.entries(starts).filter(([place, count]) => count > (undisturbed.starts[place] ?? 0))
    expect(again.filter(([place]) => !DRIVER_STEPS.includes(place.split(' ')[0] ?? ''))).toEqual([])
    for (const [place, count] of again) expect([place, count]).toEqual([place, 2])
  }

  async #kill({ how, call, number, point }: Kill, id: string): Promise<void> {
    const stage = this.#stage
    const proxy = await stage.proxy()
    const driver = stage.spawnScript(DRIVER, [proxy.url, stage.prefix, id, how, 'journey', '3', `begin-${id}`])
    await driver.said(/connected/)
    const backend = await stage.backend()
    await until(async () => {
      const session = (await backend.inspect.sessions()).find(({ baseId }) => baseId === id)
      return (await stage.redis.hget(stage.keys.session(session?.session ?? ''), 'alive')) === '1'
    }, 'the driver is seen')
    const kind = point === 'before it is sent' ? 'hold-request' : 'hold-reply'
    const fault = proxy.arm(kind, script(call), { skip: number - 1 })
    stage.ledger.open(`begin-${id}`)
    await fault.whenFired()
    if (point === 'just after it') fault.release()
    await driver.kill9()
  }

  #newId(): string {
    this.#runs += 1
    return `r${this.#runs}`
  }

  #startsOf(id: string): Starts {
    const starts: Record<string, number> = {}
    for (const { details } of this.#stage.ledger.notes('start')) {
      if (details['run'] !== id) continue
      const place = `${String(details['task'])} ${String(details['path'])}`
      starts[place] = (starts[place] ?? 0) + 1
    }
    return starts
  }
}
