/** `graflow run` and `graflow submit`: results, failures, progress, interrupts; in this process, and on a real Redis with a worker. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Stragglers } from '../../bin/stragglers.js'
import { main } from '../../bin/main.js'
import { duration } from '../../bin/output.js'
import { showProgress } from '../../bin/progress.js'
import { primes } from '../../examples/cpu-threads/tasks.js'
import { each, flow, par, type Run, seq, task, workflow } from '../../lib/index.js'
import { command, commandHost } from '../support/command.js'
import { compiled } from '../support/compiled.js'
import { Gate } from '../support/gate.js'
import { localWorker } from '../support/local-worker.js'
import { useStage } from '../support/redis-stage.js'

const open = useStage()
const double = task('double', (n: number) => n * 2)
const list = task('list', (count: number) => Array.from({ length: count }, (_, i) => i))
const hello = workflow('hello', flow('list >> double*', { list, double }))
const bad = workflow(
  'bad',
  each(
    task('fails', (n: number) => {
      throw new TypeError(`no ${n}`)
    }),
  ),
)

describe('graflow run', () => {
  it('runs a flow in this process, and prints its result on standard output, its progress on standard error', async () => {
    const { code, out, err } = await command(['run', 'x.mjs', '--input', '3'], { hello })
    expect([code, out]).toEqual([0, '[ 0, 2, 4 ]\n'])
    expect(err).toMatch(
      /^no address of Redis is set: everything runs in this process \(embedded\)\n1: 3 branches\n1: 3 succeeded in/,
    )
    expect(err).toMatch(/\nrun \S+ of hello completed in \d+\.\d s\n$/)
  })

  it('prints one JSON document with --json, and nothing else with --progress none', async () => {
    const argv = ['run', 'x.mjs', '--input', '3', '--json', '--embedded', '--progress', 'none', '--id', 'user:1']
    const { code, out, err } = await command(argv, { hello })
    expect([code, err]).toEqual([0, ''])
    expect(JSON.parse(out)).toEqual({
      ...{ id: 'user:1', workflow: 'hello', durationMs: expect.any(Number), state: 'completed', result: [0, 2, 4] },
    })
  })

  it('runs a task that wants a thread in one, which loads its module', async () => {
    const module = compiled(join(__dirname, '../../examples/cpu-threads/tasks.ts'))
    const argv = ['run', module, '--input', '{"from":0,"to":100}', '--embedded', '--progress', 'none']
    const { code, out } = await command(argv, { primes })
    expect([code, out]).toEqual([0, '{ primes: 25, isInThread: true }\n'])
  })

  it('writes as JSON what JSON has no form for', async () => {
    const odd = task('odd', () => ({
      ...{ big: 3n, at: new Date(0), none: undefined, bytes: new Uint8Array([1, 2]) },
      ...{ map: new Map([['a', 1]]), pairs: new Map([[1, 'a']]), set: new Set([1]) },
    }))
    const { out } = await command(['run', 'x.mjs', '--json', '--embedded', '--progress', 'none'], { odd })
    expect(JSON.parse(out).result).toEqual({
      ...{ big: '3', at: '1970-01-01T00:00:00.000Z', bytes: 'AQI=', map: { a: 1 }, pairs: [[1, 'a']], set: [1] },
    })
  })

  it('takes the input from a file, and from standard input', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'graflow-run-'))
    try {
      writeFileSync(join(folder, 'in.json'), '2')
      const flags = ['--embedded', '--progress', 'none']
      expect((await command(['run', 'x.mjs', '--input', '@in.json', ...flags], { hello }, { folder })).out).toBe(
        '[ 0, 2 ]\n',
      )
      const readInput = (): Promise<string> => Promise.resolve('1')
      expect((await command(['run', 'x.mjs', '--input', '-', ...flags], { hello }, { readInput })).out).toBe('[ 0 ]\n')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('says why a run failed, with exit code 1', async () => {
    const argv = ['run', 'x.mjs', '--input', '[7, 8]', '--json', '--embedded']
    const { code, out, err } = await command(argv, { bad })
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ workflow: 'bad', state: 'failed', error: { code: 'GROUP_FAILED' } })
    expect(err).toMatch(/^run \S+ of bad failed after \d+\.\d s$/m)
    expect(err).toMatch(/^GROUP_FAILED: group at .*$/m)
    expect(err).toMatch(/^ {2}TASK_FAILED: task "fails" \(at \S+\) failed: no 7$/m)
    const one = await command(['run', 'x.mjs', '--workflow', 'step', '--embedded'], {
      step: task('step', () => {
        throw new TypeError('no luck')
      }),
    })
    expect([one.code, one.err]).toEqual([
      1,
      expect.stringMatching(/TASK_FAILED: .*\n {2}caused by TypeError: no luck\n$/),
    ])
  })

  it('cancels the run when it is interrupted, with exit code 130', async () => {
    const gate = new Gate()
    const told = new AbortController()
    const waits = task('waits', (_: undefined, ctx) => gate.pass(ctx.signal))
    const ended = command(['run', 'x.mjs', '--embedded'], { waits }, { signal: told.signal })
    await gate.reached(1)
    told.abort(new Error('interrupted by SIGINT'))
    const { code, err } = await ended
    expect(code).toBe(130)
    expect(err).toMatch(/cancelled after[^]*CANCELLED: .*interrupted by SIGINT/)
    expect(gate.waiting).toBe(0)
  })

  it('ends with 130 also where it is interrupted before its run has begun', async () => {
    const { code, err } = await command(
      ['run', 'x.mjs', '--input', '1', '--embedded'],
      { hello },
      { signal: AbortSignal.abort(new Error('interrupted by SIGINT')) },
    )
    expect([code, err]).toEqual([130, expect.stringContaining('interrupted by SIGINT')])
  })

  it('draws the progress on a terminal: state, groups, counts, log lines above them; the last picture stays', async () => {
    const gate = new Gate()
    const one = task('one', async (n: number, ctx) => {
      if (n === 2) {
        ctx.log.warn('two waits')
        await gate.pass()
      }
      return n
    })
    const host = commandHost(
      { all: workflow('all', each(one).configure({ name: 'ones' })) },
      { isTTY: true, env: { NO_COLOR: '1' } },
    )
    const ended = main(['run', 'x.mjs', '--input', '[1,2,3]', '--embedded'], host)
    await host.err.says(/\d ones +━{13}╌{7} +2\/3, 1 running, [\d.]+\/s, \d[\w. ]* left/)
    gate.open()
    expect(await ended).toBe(0)
    expect(host.err.text).toMatch(/^running {2}all \S+ {2}\d+\.\d s/m)
    expect(host.err.text).toMatch(/\u001b\[J\S+ warn +two waits \(one /)
    const last = host.err.text.slice(host.err.text.lastIndexOf('A\r'))
    expect(last).toMatch(/completed {2}all \S+[^]*━{20} {2}3\/3\u001b\[K\n\u001b\[Jrun /)
    const widest = Math.max(...host.err.text.split('\n').map((line) => line.replace(/\u001b\[\d*[A-Z]|\r/g, '').length))
    expect(widest).toBeLessThan(host.err.columns)
  })
})

describe('graflow submit', () => {
  it('hands the run to the workers and prints its id; --wait follows it', async () => {
    const stage = await open()
    await localWorker(stage, 'w', [hello, bad])
    const flags = ['--redis-url', stage.server.url, '--redis-key-prefix', stage.prefix]
    const { code, out, err } = await command(['submit', 'x.mjs', '--input', '3', '--id', 's-1', ...flags], { hello })
    expect([code, out, err]).toEqual([0, 's-1\n', ''])
    const again = await command(['submit', 'x.mjs', '--input', '3', '--id', 's-1', '--wait', ...flags], { hello })
    expect([again.code, again.out]).toEqual([0, '[ 0, 2, 4 ]\n'])
    const { createdAt, endedAt } = await (await (await stage.client()).attach('s-1')).status()
    const document = await command(['submit', 'x.mjs', '--input', '3', '--id', 's-1', '--wait', '--json', ...flags], {
      hello,
    })
    expect(JSON.parse(document.out)).toMatchObject({ durationMs: Number(endedAt) - Number(createdAt) })
    const other = await command(['submit', 'x.mjs', '--input', '4', '--id', 's-1', ...flags], { hello })
    expect([other.code, other.err]).toEqual([1, expect.stringContaining('run "s-1" exists with another flow or input')])
    const json = await command(['submit', 'x.mjs', '--input', '[1]', '--id', 's-2', '--json', ...flags], { bad })
    expect(JSON.parse(json.out)).toEqual({ id: 's-2', workflow: 'bad', state: expect.any(String) })
    const failed = await command(['submit', 'x.mjs', '--input', '[1]', '--id', 's-2', '--wait', ...flags], { bad })
    expect([failed.code, failed.out]).toEqual([1, ''])
    const here = await command(['run', 'x.mjs', '--input', '2', ...flags], { hello })
    expect([here.code, here.out]).toEqual([0, '[ 0, 2 ]\n'])
    expect(here.err).not.toContain('embedded')
  })

  it('gives the run its tags, priority and queue', async () => {
    const stage = await open()
    const client = await stage.client()
    const flags = ['--redis-url', stage.server.url, '--redis-key-prefix', stage.prefix]
    const terms = ['--tag', 'eu-1', '--tag', 'nightly', '--priority', '7', '--queue', 'gpu']
    const given = await command(['submit', 'x.mjs', '--input', '3', '--id', 's-5', ...terms, ...flags], { hello })
    expect(given.code).toBe(0)
    const { items } = await client.runs.list({ tag: 'nightly' })
    expect(items.map(({ id, tags }) => [id, tags])).toEqual([['s-5', ['eu-1', 'nightly']]])
    const same = await client.submit(hello, 3, { id: 's-5', tags: ['eu-1', 'nightly'], priority: 7, queue: 'gpu' })
    expect(same.id).toBe('s-5')
  })

  it('leaves the run alone when it is interrupted while it waits', async () => {
    const stage = await open()
    const gate = new Gate()
    const held = seq(list, each(task('held', (n: number) => gate.pass().then(() => n))))
    await localWorker(stage, 'w', [held])
    const told = new AbortController()
    const flags = ['--redis-url', stage.server.url, '--redis-key-prefix', stage.prefix, '--id', 's-3']
    const argv = ['submit', 'x.mjs', '--input', '1', '--wait', '--json', ...flags]
    const ended = command(argv, { held }, { signal: told.signal })
    await gate.reached(1)
    told.abort()
    const { code, out, err } = await ended
    expect([code, err]).toEqual([130, expect.stringContaining('no longer followed: run s-3 goes on')])
    expect(JSON.parse(out)).toEqual({
      ...{ id: 's-3', workflow: 'held', durationMs: expect.any(Number), state: 'running' },
    })
    gate.open()
    const run = await (await stage.client()).attach('s-3')
    expect(await run.result()).toEqual([0])
  })

  it('follows no run when it was interrupted before there was one', async () => {
    const stage = await open()
    const flags = ['--redis-url', stage.server.url, '--redis-key-prefix', stage.prefix, '--id', 's-6']
    const argv = ['submit', 'x.mjs', '--input', '1', '--wait', '--progress', 'none', ...flags]
    const { code, err } = await command(argv, { hello }, { signal: AbortSignal.abort() })
    expect([code, err]).toEqual([130, expect.stringContaining('no longer followed: run s-6 goes on')])
  })

  it('says that Redis is not there, with exit code 1, and a document for who waits for one', async () => {
    const { code, out, err } = await command(['submit', 'x.mjs', '--redis-port', '1', '--json'], { double })
    const says = expect.stringMatching(/redis:\/\/localhost:1.*ECONNREFUSED/)
    expect([code, err]).toEqual([1, says])
    expect(JSON.parse(out)).toEqual({ error: expect.objectContaining({ code: 'REDIS_UNAVAILABLE', message: says }) })
  })

  it('says that no live worker could take the run, and that one does not know its tasks', async () => {
    const stage = await open()
    const flags = ['--redis-url', stage.server.url, '--redis-key-prefix', stage.prefix]
    const alone = await command(['submit', 'x.mjs', '--input', '3', '--id', 's-4', ...flags], { hello })
    expect([alone.code, alone.out]).toEqual([0, 's-4\n'])
    expect(alone.err).toMatch(
      /^run s-4 waits for a driver for list: no worker that takes submitted runs is alive with this key prefix .*; start one: graflow-worker --tasks <its module> --redis-url redis:\S+ --redis-key-prefix \S+\n$/,
    )
    await localWorker(stage, 'w', [bad])
    const json = await command(['submit', 'x.mjs', '--input', '3', '--id', 's-5', '--json', ...flags], { hello })
    expect([json.code, JSON.parse(json.out)]).toEqual([0, { id: 's-5', workflow: 'hello', state: 'pending' }])
    expect(json.err).toMatch(/^run s-5 waits for a driver for list: no live worker with this key prefix .* can do it; /)
  })
})

describe('progress', () => {
  /** A run that is only looked at; each look takes so long. */
  const looked = (lookMs: number): { readonly run: Run<unknown>; readonly looks: () => number } => {
    let looks = 0
    const status = async (): Promise<object> => {
      looks += 1
      await new Promise((resolve) => setTimeout(resolve, lookMs))
      return { id: 'r', state: 'running', workflow: 'w', groups: [] }
    }
    const events = { next: () => new Promise(() => undefined), return: () => Promise.resolve({ done: true }) }
    const iterable = { ...events, [Symbol.asyncIterator]: () => events }
    return { run: { id: 'r', status, events: () => iterable } as unknown as Run<unknown>, looks: () => looks }
  }

  it.each([
    ['in lines: when a line is due', 'lines', 10, 60_000, 6],
    ['live: four times a second', 'live', 1, 10_000, 40],
    ['live, where a look takes half a second: a tenth of the time', 'live', 500, 60_000, 11],
  ] as const)('asks the store %s', async (_, mode, lookMs, forMs, most) => {
    jest.useFakeTimers()
    try {
      const { run, looks } = looked(lookMs)
      const host = commandHost()
      showProgress(run, mode, host)
      await jest.advanceTimersByTimeAsync(forMs)
      expect(looks()).toBeLessThanOrEqual(most)
      expect(looks()).toBeGreaterThanOrEqual(most * 0.8)
      // the time that is shown goes on all the same
      if (mode === 'live')
        expect(host.err.text.match(/running {2}w r/g)?.length).toBeGreaterThanOrEqual((forMs / 250) * 0.9)
    } finally {
      jest.clearAllTimers()
      jest.useRealTimers()
    }
  })
})

it.each([
  [400, '0.4 s'],
  [9_960, '10 s'],
  [59_400, '59 s'],
  [59_600, '1 min 0 s'],
  [119_700, '2 min 0 s'],
  [200_000, '3 min 20 s'],
  [3_599_900, '1 h 0 min'],
  [7_500_000, '2 h 5 min'],
])('a duration of %d ms is shown as %s', (ms, shown) => {
  expect(duration(ms)).toBe(shown)
})

describe('stragglers', () => {
  const at = (ms: number): Date => new Date(ms)
  const started = (path: string, ms: number) =>
    ({ type: 'branch:started', at: at(ms), runId: 'r', path, task: 't', index: 0, workerId: 'w', attempt: 1 }) as const
  const settled = (path: string, ms: number) =>
    ({ ...started(path, ms), type: 'branch:settled', status: 'succeeded' }) as const

  it('are branches that take three times the median of their group, and a second at least', () => {
    const seen = new Stragglers()
    for (const path of ['1/0', '1/1', '1/2', '2/0']) seen.see(started(path, 0))
    expect(seen.at(60_000, 3)).toEqual([]) // nothing to compare with
    seen.see(settled('1/0', 500))
    expect(seen.at(1_400, 3)).toEqual([])
    expect(seen.at(1_500, 3).map(({ path, forMs }) => [path, forMs])).toEqual([
      ['1/1', 1_500],
      ['1/2', 1_500],
    ])
    expect(seen.at(1_500, 1)).toHaveLength(1)
    seen.see(settled('1/1', 1_600))
    const released = { type: 'group:released', at: at(2_000), runId: 'r', path: '1', name: undefined } as const
    seen.see({ ...released, succeeded: 2, failed: 0, withdrawn: 1, durationMs: 2_000 })
    expect(seen.at(60_000, 3)).toEqual([])
  })
})

it('a par of tasks with one name each is run by the name of its export', async () => {
  const { out } = await command(['run', 'x.mjs', '--workflow', 'pair', '--input', '1', '--embedded'], {
    pair: par(double, list),
    double,
  })
  expect(out).toBe('[ 2, [ 0 ] ]\n')
})
