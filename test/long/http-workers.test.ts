/** The workers in other languages, killed like any other, and with the control plane killed under them. */
import { declareTask, each, par, type Graflow } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { blocksOf, controlPlane, pythonWorker, SHORT_LEASE_MS, shellWorker } from '../support/http-workers.js'
import { build } from '../support/programs.js'
import { Child, endChildren } from '../support/processes.js'
import { useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'

beforeAll(build, 120_000)
afterEach(endChildren)
const open = useStage()

const square = declareTask<number, number>('slow-square')
const lines = declareTask<string, number>('words')
const SLOW = 'cat > /dev/null; sleep 1; echo 7'

/** Resolves once the worker has a task in hand. */
const busy = (graflow: Graflow, id: string): Promise<void> =>
  until(async () => (await graflow.workers.get(id))?.inFlight === 1, `${id} to have a task in hand`)

/** The attempts of all starts that the control planes tell of, from now on. */
async function attemptsOf(graflow: Graflow): Promise<number[]> {
  const attempts: number[] = []
  graflow.events.subscribe('branch:started', ({ attempt }) => void attempts.push(attempt))
  return attempts
}

describe('workers in Python', () => {
  it('FT-W5: finish what one that is killed in the middle of a task had in hand', async () => {
    const stage = await open()
    const plane = await controlPlane(stage)
    const a = await pythonWorker('a', [plane.url], { LEASE_MS: String(SHORT_LEASE_MS) })
    const graflow = await stage.client()
    const attempts = await attemptsOf(graflow)
    const run = await graflow.start(each(square), [1, 2, 3])
    const result = run.result()
    await busy(graflow, 'a')
    await pythonWorker('b', [plane.url], { AT_ONCE: '2' })
    await a.kill9()
    expect(await result).toEqual([1, 4, 9])
    expect(attempts.toSorted()).toEqual([1, 1, 1, 2])
  }, 60_000)

  it('FT-W5: goes on when the control plane is killed in the middle of a task: another takes the result, and nothing starts twice', async () => {
    const stage = await open()
    const [first, second] = await Promise.all([controlPlane(stage), controlPlane(stage)])
    await pythonWorker('a', [first.url, second.url], { PACE: '0.3' })
    const graflow = await stage.client()
    const attempts = await attemptsOf(graflow)
    const run = await graflow.start(each(square), [1, 2, 3])
    const result = run.result()
    await busy(graflow, 'a')
    await first.child.kill9()
    expect(await result).toEqual([1, 4, 9])
    expect(attempts).toEqual([1, 1, 1])
  }, 60_000)

  it('say what a handler threw, count its attempts, and leave when they are told to', async () => {
    const stage = await open()
    const plane = await controlPlane(stage)
    const worker = await pythonWorker('a', [plane.url])
    const graflow = await stage.client()
    const divide = declareTask<readonly number[], number>('divide', { retry: { attempts: 2 } })
    expect(await graflow.run(each(divide), [[6, 3]])).toEqual([2])
    const failure = await failureOf(graflow.run(each(divide), [[1, 0]]))
    const cause = (failure.cause as Error).cause as Error
    expect(cause).toMatchObject({ name: 'ZeroDivisionError', message: 'division by zero' })
    expect(cause.stack).toMatch(/worker\.py", line \d+, in divide/)
    // results that the server refuses: one has no form in JSON, and the report of the other is larger than a call may be
    await expect(graflow.run(each(divide), [[1e308, 1e-10]])).rejects.toMatchObject({ code: 'GROUP_FAILED' })
    const words = Array.from({ length: 250_000 }, (_, i) => (i + 50_000).toString(36)).join(' ')
    const large = await failureOf(graflow.run(par(declareTask<string, object>('count-words')), words))
    expect((large.cause as Error).cause).toMatchObject({ name: 'Refused' })
    expect(await graflow.workers.drain('a')).toBe(true)
    expect(await worker.ends(20_000)).toMatchObject({ code: 0 })
    expect(await graflow.workers.get('a')).toBeUndefined()
  }, 60_000)
})

describe('workers in shell', () => {
  it('FT-W5: finish what one that is killed in the middle of a task had in hand', async () => {
    const stage = await open()
    const plane = await controlPlane(stage)
    const a = await shellWorker('a', plane.url, 'words', SLOW, SHORT_LEASE_MS)
    const graflow = await stage.client()
    const attempts = await attemptsOf(graflow)
    const run = await graflow.start(each(lines), ['one two'])
    const result = run.result()
    await busy(graflow, 'a')
    await a.kill9()
    await shellWorker('b', plane.url, 'words', 'wc -w')
    expect(await result).toEqual([2])
    expect(attempts).toEqual([1, 2])
  }, 60_000)

  it('FT-W5: go on when the only control plane is killed in the middle of a task, and started again', async () => {
    const stage = await open()
    const plane = await controlPlane(stage)
    await shellWorker('a', plane.url, 'words', SLOW)
    const graflow = await stage.client()
    const attempts = await attemptsOf(graflow)
    const result = (await graflow.start(each(lines), ['x', 'y'])).result()
    await busy(graflow, 'a')
    await plane.child.kill9()
    await controlPlane(stage, plane.port)
    expect(await result).toEqual([7, 7])
    expect(attempts).toEqual([1, 1])
  }, 60_000)

  it('report the exit status and what the command wrote', async () => {
    const stage = await open()
    const plane = await controlPlane(stage)
    await shellWorker('a', plane.url, 'words', 'cat > /dev/null; printf \'no "such" file\\n\\tthere\' >&2; exit 3')
    const graflow = await stage.client()
    const failure = await failureOf(graflow.run(each(lines), ['x']))
    expect((failure.cause as Error).cause).toMatchObject({
      name: 'ExitStatus',
      message: 'no "such" file\n\tthere',
      code: 3,
    })
  }, 60_000)
})

describe('the guide', () => {
  it('has a session by hand that works as it says', async () => {
    const stage = await open()
    const plane = await controlPlane(stage)
    const graflow = await stage.client()
    const session = blocksOf('docs/guides/workers-in-other-languages.md', 'sh run')
    const child = new Child({ name: 'the guide', command: 'sh', args: ['-euc', session], env: { SERVER: plane.url } })
    const upper = declareTask<string, string>('upper')
    expect(await graflow.run(each(upper), ['first', 'second'])).toEqual(['FIRST', 'SECOND'])
    expect(await child.ends(20_000)).toMatchObject({ code: 0 })
    expect(child.stdout).toMatch(/"state":"released"[^]*"code":"FENCED"[^]*"state":"repeated"/)
  }, 60_000)

  it('has a worker in Python that works as it says', async () => {
    const stage = await open()
    const plane = await controlPlane(stage)
    const graflow = await stage.client()
    const program = blocksOf('docs/guides/workers-in-other-languages.md', 'python run')
    const child = new Child({
      name: 'title',
      command: 'python3',
      args: ['-uc', program],
      env: { GRAFLOW_SERVER: plane.url },
    })
    await child.said(/is ready/)
    const title = declareTask<string, string>('title', { retry: { attempts: 3 }, timeoutMs: 60_000 })
    expect(await graflow.run(each(title), ['war and peace', 'emma'])).toEqual(['War And Peace', 'Emma'])
  }, 60_000)
})
