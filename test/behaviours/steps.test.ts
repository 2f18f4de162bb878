/** Steps are seen: events, the log, metrics and `status()` show what a driver does, wherever it is. */
import type { EventOf, Graflow, RunEvent, RunStatus } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { describeOnBackends, openGateOf } from '../support/backends.js'
import { nextMark } from '../support/runs.js'
import { until } from '../support/waits.js'
import { failing, hanging, retried } from './steps.tasks.js'

const shown = ({ steps }: RunStatus): (string | number)[][] =>
  steps.map(({ path, task, state, attempt }) => [path, task, state, attempt])

const STEP_EVENTS = ['step:started', 'step:settled', 'step:retrying'] as const

/** What the steps of all runs of a client say from now on: `<event> <path> <attempt>`. */
function eventsOf(graflow: Graflow): string[] {
  const seen: string[] = []
  for (const name of STEP_EVENTS)
    graflow.events.subscribe(name, ({ type, path, attempt }: EventOf<typeof name>) => {
      seen.push(`${type} ${path} ${attempt}`)
    })
  return seen
}

describeOnBackends('steps of a driver', (open) => {
  it.each(['start', 'submit'] as const)(
    'O8: of a run by %s whose last step throws are in its events and its status, with times and error',
    async (how) => {
      const graflow = await open()
      const seen = eventsOf(graflow)
      const before = Date.now()
      const run = await (how === 'start' ? graflow.start(failing, 4) : graflow.submit(failing, 4))
      expect(await failureOf(run.result())).toMatchObject({ code: 'TASK_FAILED' })
      const status = await run.status()
      expect(shown(status)).toEqual([
        ['0', 'list', 'succeeded', 1],
        ['2', 'sum', 'failed', 1],
      ])
      const [first, last] = status.steps
      expect(last?.error).toMatchObject({ code: 'TASK_FAILED', message: expect.stringContaining('no sum') })
      expect(first?.error).toBeUndefined()
      expect(first?.endedAt?.getTime()).toBeLessThanOrEqual(last?.startedAt.getTime() ?? 0)
      expect(first?.startedAt.getTime()).toBeGreaterThanOrEqual(before - 2_000)
      expect(status).toMatchObject({ done: 6, total: 6 })
      expect(seen).toEqual(['step:started 0 1', 'step:settled 0 1', 'step:started 2 1', 'step:settled 2 1'])
    },
  )

  it('O8: keep their place when the run is retried, and from a step on are begun anew', async () => {
    const graflow = await open()
    const run = await graflow.submit(failing, 2)
    await failureOf(run.result())
    openGateOf(run, 'mended')
    expect(await graflow.runs.retry(run.id)).toBe(true)
    expect(await run.result()).toBe(2)
    const both = [
      ['0', 'list', 'succeeded', 1],
      ['2', 'sum', 'succeeded', 1],
    ]
    expect(shown(await run.status())).toEqual(both)
    expect((await run.status()).steps[1]?.error).toBeUndefined()
    expect(await graflow.runs.retry(run.id, { from: '0' })).toBe(true)
    expect(await run.result()).toBe(2)
    expect(shown(await run.status())).toEqual(both)
  })

  it('O8: that fail and are started again say so, each with its error', async () => {
    const graflow = await open()
    const run = await graflow.start(retried, 2)
    const events: RunEvent[] = []
    for await (const event of run.events()) events.push(event)
    const ofFlaky = events.filter((event) => event.type.startsWith('step:') && 'path' in event && event.path === '3')
    expect(ofFlaky.map((event) => [event.type, 'attempt' in event && event.attempt])).toEqual([
      ['step:started', 1],
      ['step:retrying', 1],
      ['step:started', 2],
      ['step:retrying', 2],
      ['step:started', 3],
      ['step:settled', 3],
    ])
    expect(ofFlaky[1]).toMatchObject({ task: 'flaky', delayMs: 0, error: { message: 'try 1' } })
    expect(ofFlaky[5]).toMatchObject({ status: 'succeeded', workerId: graflow.instanceId })
    expect(shown(await run.status()).at(-1)).toEqual(['3', 'flaky', 'succeeded', 3])
  })

  it.each(['start', 'submit'] as const)('O8: of a run by %s that hangs is running, with its progress', async (how) => {
    const graflow = await open()
    const hangs = nextMark(graflow, 'hanging')
    const run = await (how === 'start' ? graflow.start(hanging, 7) : graflow.submit(hanging, 7))
    await hangs
    await until(async () => {
      const { steps, progress } = await run.status()
      return steps.length === 2 && progress.length === 1
    }, 'both steps and the progress are seen')
    const status = await run.status()
    expect(shown(status)).toEqual([
      ['0', 'one', 'succeeded', 1],
      ['1', 'hang', 'running', 1],
    ])
    expect(status).toMatchObject({ state: 'running', done: 1, total: 2 })
    expect(status.steps[1]?.endedAt).toBeUndefined()
    expect(status.progress).toMatchObject([{ path: '1', task: 'hang', fraction: 0, message: 'hanging' }])
    openGateOf(run, 'go')
    await run.result()
    await until(async () => (await run.status()).progress[0]?.fraction === 1, 'the last progress is seen')
  })

  it('O8: that run while the run is cancelled are cancelled', async () => {
    const graflow = await open()
    const hangs = nextMark(graflow, 'hanging')
    const run = await graflow.start(hanging, 7)
    await hangs
    await run.cancel('enough')
    await failureOf(run.result())
    expect(shown(await run.status())).toEqual([
      ['0', 'one', 'succeeded', 1],
      ['1', 'hang', 'cancelled', 1],
    ])
  })

  it('O3: that a person decided say so', async () => {
    const graflow = await open()
    const hangs = nextMark(graflow, 'hanging')
    const run = await graflow.submit(hanging, 7)
    await hangs
    expect(await graflow.runs.settle(run.id, '1', { skip: true })).toBe(true)
    expect(await run.result()).toBe(7)
    expect(shown(await run.status()).map(([path, , state]) => [path, state])).toEqual([
      ['0', 'succeeded'],
      ['1', 'skipped'],
      ['2', 'succeeded'],
    ])
  })

  it('O8: keep the progress of branches, of the last hundred paths', async () => {
    const graflow = await open()
    const run = await graflow.submit(failing, 130)
    await failureOf(run.result())
    await until(async () => (await run.status()).progress.length === 100, 'a hundred paths are seen')
    const { progress } = await run.status()
    expect(progress[0]).toMatchObject({ task: 'twice', path: expect.stringMatching(/^1\/\d+$/) })
  })
})
