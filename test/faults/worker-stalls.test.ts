/** Workers that stand still, hang, or come back from the dead. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { each } from 'graflow'
import { blocking, deaf, gated, hung, stubborn } from './fault.tasks.js'
import { failureOf } from '../support/captured-errors.js'
import { monotonicMs } from '../support/ledger.js'
import { freePort } from '../support/redis-server.js'
import { useStages } from '../support/redis-stage.js'
import { until } from '../support/waits.js'

const open = useStages(join(__dirname, 'fault.tasks.ts'))
const SESSION_TTL_MS = 3_000

/** A worker's metric, summed over its labels. */
async function metric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line.startsWith(name) && /^[{ ]/.test(line.slice(name.length)))
  if (lines.length === 0) throw new Error(`expected a metric ${name} in:\n${text}`)
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

describe('a worker that stands still', () => {
  it.concurrent('FT-W6, FT-W12: longer than its session lives: another takes its work; when it goes on, its result is refused', async () => {
    await using stage = await open()
    const port = await freePort()
    const a = await stage.worker('a', { flags: ['--metrics-port', String(port)] })
    const client = await stage.client()
    const run = await client.start(each(stubborn), [{ n: 0, gate: 'go' }])
    await stage.ledger.until('start')
    const frozenAt = monotonicMs()
    await a.freeze()
    const b = await stage.worker('b')
    const dueAt = Math.max(frozenAt + SESSION_TTL_MS, monotonicMs())
    const [, second] = await stage.ledger.until('start', 2)
    expect(second).toMatchObject({ pid: b.pid, details: { attempt: 2 } })
    expect((second?.at ?? Infinity) - dueAt).toBeLessThan(2_000)
    stage.ledger.open('go')
    expect(await run.result()).toEqual([0])
    a.thaw()
    await stage.ledger.until('end', 2)
    await until(async () => (await metric(port, 'graflow_fenced_total')) === 1, 'the late result is counted as fenced')
    expect((await run.status()).groups).toMatchObject([{ succeeded: 1, width: 1 }])
    // and it works on
    await b.kill9()
    expect(await client.run(each(gated), [{ n: 1 }])).toEqual([1])
    expect(stage.ledger.notes('start').at(-1)?.pid).toBe(a.pid)
  }, 30_000)

  it.concurrent('FT-W10: because a handler keeps its event loop for longer than its session would live: it loses nothing', async () => {
    await using stage = await open()
    await Promise.all([stage.worker('a'), stage.worker('b')])
    const client = await stage.client()
    expect(await client.run(each(blocking), [2.5 * SESSION_TTL_MS])).toEqual([2.5 * SESSION_TTL_MS])
    expect(stage.ledger.notes('start')).toHaveLength(1)
  }, 30_000)

  it.concurrent('FT-W30: in the thread that renews its session: another thread goes on at once, and nothing is lost', async () => {
    await using stage = await open()
    const a = await stage.worker('a', {
      nodeFlags: ['--import', pathToFileURL(join(__dirname, 'thread-shim.mjs')).href],
    })
    const client = await stage.client()
    const run = await client.start(each(stubborn), [{ n: 0, gate: 'go' }])
    await stage.ledger.until('start')
    a.signal('SIGUSR2')
    await a.said(/ended thread 1\b/)
    await a.said(/started thread 2\b/)
    const endedAt = monotonicMs()
    await until(() => monotonicMs() - endedAt > 1.5 * SESSION_TTL_MS, 'longer than a session lives')
    stage.ledger.open('go')
    expect(await run.result()).toEqual([0])
    expect(await client.run(each(gated), [{ n: 1 }])).toEqual([1])
    expect(a.isRunning).toBe(true)
    // on a machine that is too busy to renew the session, it is registered again, by a third
    if (!a.output.includes('took a for dead')) expect(a.output).not.toContain('started thread 3')
  }, 30_000)

  it.concurrent('FT-W11: because a handler hangs: its signal fires at its timeout, it is started again, and then it has failed', async () => {
    await using stage = await open()
    await stage.worker('a')
    const client = await stage.client()
    const error = await failureOf(client.run(each(hung), [1]))
    expect(error.code).toBe('GROUP_FAILED')
    expect(error.message).toContain('500')
    const [first, second] = stage.ledger.notes('start')
    const signals = await stage.ledger.until('signal', 2)
    expect([first?.details['attempt'], second?.details['attempt']]).toEqual([1, 2])
    expect(stage.ledger.notes('start')).toHaveLength(2)
    expect((signals[0]?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(450)
    expect((signals[0]?.at ?? Infinity) - (first?.at ?? 0)).toBeLessThan(1_500)
    expect(String(signals[0]?.details['reason'])).toContain('500')
    expect(await client.run(each(gated), [{ n: 2 }])).toEqual([2]) // the worker lives, and has its slot back
  })

  it.concurrent('FT-W11: in a loop that cannot hear its timeout: Redis takes the branch back a second later', async () => {
    await using stage = await open()
    await stage.worker('a')
    const client = await stage.client()
    const startedAt = monotonicMs()
    const error = await failureOf(client.run(each(deaf), [8_000]))
    expect(error.code).toBe('GROUP_FAILED')
    expect(error.message).toContain('timeout')
    expect(monotonicMs() - startedAt).toBeLessThan(4_000)
  }, 30_000)
})
