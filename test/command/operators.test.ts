/** The commands for operators, each against a real Redis on which a worker runs flows; they get no code. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { each, later, seq, task, waitFor, workflow } from '../../lib/index.js'
import { Worker } from 'graflow/worker'
import { z } from 'zod'
import { command, commandHost } from '../support/command.js'
import { main } from '../../bin/main.js'
import { useStage } from '../support/redis-stage.js'
import { until, within } from '../support/waits.js'

const open = useStage()

let isMended = false
const inspect = task('inspect', ({ n }: { n: number }) => {
  if (n === 3 && !isMended) throw new TypeError(`no ${n}`)
  return n * 2
})
const total = task('total', (all: readonly number[]) => all.reduce((sum, n) => sum + n, 0))
const audit = workflow('audit', seq(each(inspect).configure({ label: 'n' }), total))
const release = workflow(
  'release',
  seq(
    waitFor('approve', { schema: z.object({ ok: z.boolean() }) }),
    task('done', () => 'released'),
  ),
)
const nap = workflow(
  'nap',
  later(
    task('wake', () => 'awake'),
    3_600_000,
  ),
)
const items = [1, 2, 3, 4].map((n) => ({ n }))

const workers: Worker[] = []
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.stop())))

async function operated() {
  isMended = false
  const stage = await open()
  const worker = new Worker({
    ...{ redisUrl: stage.server.url, keyPrefix: stage.prefix, logLevel: 'silent' },
    ...{ tasks: [audit, release, nap], workerId: 'w1', buildId: 'b1' },
  })
  await worker.start()
  workers.push(worker)
  const client = await stage.client()
  const flags = ['--redis-url', stage.server.url, '--redis-key-prefix', stage.prefix]
  const run = (...argv: readonly string[]) => command([argv[0] ?? '', ...flags, ...argv.slice(1)])
  const json = async (...argv: readonly string[]): Promise<any> => JSON.parse((await run(...argv, '--json')).out)
  return { stage, worker, client, run, json, flags }
}

describe('graflow runs', () => {
  it('finds a failed run, says what failed and why, and retries it once that is mended', async () => {
    const { client, run, json } = await operated()
    const one = await client.submit(audit, items, { id: 'user:1', tags: ['nightly'] })
    await expect(one.result()).rejects.toThrow('no 3')
    const list = await run('runs', '--state', 'failed')
    expect(list.out).toMatch(
      /^RUN +STATE +WORKFLOW +PROGRESS +AGE +TOOK +TAGS +ERROR\nuser:1 +failed +audit +- .*nightly +GROUP_FAILED: /,
    )
    const tree = await run('runs', 'user:1')
    expect(tree.out).toMatch(/^run user:1 {2}failed {2}audit\n {2}created .*\n/)
    expect(tree.out).toMatch(/4 branches, \w+: 3 succeeded, 1 failed/)
    expect(tree.out).toMatch(/0\/2 \(3\) {2}inspect: TASK_FAILED: .*no 3/)
    expect((await json('runs', 'user:1')).failures).toMatchObject([{ path: '0/2', label: '3' }])
    const values = await json('runs', 'user:1', '--path', '0/2')
    expect(values).toMatchObject({ input: { value: { n: 3 } }, output: { error: { code: 'TASK_FAILED' } } })
    isMended = true
    expect(await run('runs', 'retry', 'user:1')).toEqual({ code: 0, out: 'user:1: retried\n', err: '' })
    expect(await one.result()).toBe(20)
    expect((await run('runs', 'user:1')).out).toMatch(
      /\n {2}0 {2}4 branches, released: 4 succeeded\n {2}1 {2}total: succeeded in 0\.\d s\n/,
    )
    expect(await json('runs', 'user:1')).toMatchObject({
      id: 'user:1',
      state: 'completed',
      retries: 1,
      failures: [],
      waits: [],
    })
  })

  it('acts on all that match a filter, and on nothing where none is given', async () => {
    const { client, run, json } = await operated()
    const runs = await Promise.all([1, 2, 3].map(() => client.submit(audit, items, { tags: ['bulk'] })))
    for (const one of runs) await expect(one.result()).rejects.toThrow('no 3')
    expect(await run('runs', 'delete')).toMatchObject({ code: 2, out: '' })
    expect((await run('runs', 'delete')).err).toContain('expected ids or a filter, got neither')
    expect((await run('runs', 'delete', 'x', '--tag', 'bulk')).err).toContain('got both')
    isMended = true
    expect(await json('runs', 'retry', '--tag', 'bulk')).toEqual({ done: 3, matched: 3, failed: 0 })
    expect(await Promise.all(runs.map((one) => one.result()))).toEqual([20, 20, 20])
    expect((await run('runs', 'delete', '--tag', 'bulk')).out).toBe('deleted 3 of 3 runs that match\n')
    expect(await json('runs', '--tag', 'bulk')).toEqual({ items: [] })
  })

  it('pauses, resumes and cancels, by id and by filter, and says what was left alone', async () => {
    const { client, run } = await operated()
    const one = await client.submit(nap, undefined, { id: 'n1' })
    await until(async () => (await one.status()).state === 'waiting', 'it to sleep')
    expect((await run('runs', 'pause', '--workflow', 'nap')).out).toBe('paused 1 of 1 runs that match\n')
    expect((await run('runs', 'pause', 'n1')).out).toContain('n1: left as it is')
    expect((await run('runs', 'resume', 'n1')).out).toBe('n1: resumed\n')
    expect((await run('runs', 'cancel', 'n1', '--reason', 'enough')).out).toBe('n1: cancelled\n')
    await expect(one.result()).rejects.toThrow('enough')
    const unknown = await run('runs', 'cancel', 'nosuch', 'n1')
    expect(unknown).toMatchObject({ code: 1, out: 'n1: left as it is: it was over\n' })
    expect(unknown.err).toContain('nosuch: ')
  })

  it.each([
    ['a state that there is not', ['--state', 'faild'], 'did you mean "failed"'],
    ['a time that is none', ['--since', 'yesterday'], 'expected how long ago'],
    ['an action that there is not', ['retyr', 'x'], 'did you mean "retry"'],
  ])('refuses %s, with exit code 2', async (_what, argv, says) => {
    const { run } = await operated()
    const { code, err } = await run('runs', ...argv)
    expect([code, err]).toEqual([2, expect.stringContaining(says)])
  })

  it('goes on page by page, and looks again with --watch until it is interrupted', async () => {
    const { client, json, flags } = await operated()
    for (const id of ['p1', 'p2', 'p3']) await client.submit(nap, undefined, { id })
    const first = await json('runs', '--limit', '2')
    const second = await json('runs', '--limit', '2', '--cursor', first.cursor)
    expect([...first.items, ...second.items].map(({ id }) => id).sort()).toEqual(['p1', 'p2', 'p3'])
    const ending = new AbortController()
    const host = commandHost({}, { signal: ending.signal })
    const watching = main(['runs', ...flags, '--watch', '--json'], host)
    await host.out.says(/\n.*\n/, 15_000)
    ending.abort()
    expect(await watching).toBe(0)
    const [line = ''] = host.out.text.split('\n')
    expect(JSON.parse(line).items).toHaveLength(3)
  })

  it('ends with --watch once nobody reads its output any more', async () => {
    const { flags } = await operated()
    const script = join(__dirname, '../../dist/bin/graflow.js')
    const child = spawn(process.execPath, [script, 'runs', ...flags, '--watch'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    child.stdout.once('data', () => child.stdout.destroy())
    expect(
      await within(15_000, once(child, 'exit'), () => 'the command to end').finally(() => child.kill('SIGKILL')),
    ).toEqual([0, null])
  })
})

describe('what stands still', () => {
  it('is listed by graflow waits, and answered by graflow signal, once', async () => {
    const { client, run, json } = await operated()
    const one = await client.submit(release, undefined, { id: 'r1' })
    await until(async () => (await one.status()).state === 'waiting', 'it to wait')
    expect((await run('waits')).out).toMatch(/^RUN +WORKFLOW +WHY +PATH .*\nr1 +release +signal +0 .*signal "approve"/)
    expect(await json('waits', 'r1')).toMatchObject({
      items: [{ runId: 'r1', why: 'signal', details: { signal: 'approve' } }],
    })
    expect((await run('signal', 'r1')).err).toContain('expected the id of a run and the name of a signal, got 1 word:')
    expect((await run('signal', 'r1', 'approve', '--data', '{ok}')).err).toContain(
      '--data: expected JSON, got what is none: ',
    )
    expect(await json('signal', 'r1', 'approve', '--data', '{"ok":true}')).toEqual({
      id: 'r1',
      name: 'approve',
      isTaken: true,
    })
    expect(await one.result()).toBe('released')
    expect(await run('signal', 'r1', 'approve', '--data', '{"ok":true}')).toMatchObject({ code: 1, out: '' })
  })
})

describe('graflow report', () => {
  it('writes a run as a page, or as JSON', async () => {
    const { client, run, json } = await operated()
    const one = await client.submit(audit, items, { id: 'user:1' })
    await expect(one.result()).rejects.toThrow('no 3')
    expect(await json('report', 'user:1')).toMatchObject({
      ...{ id: 'user:1', workflow: 'audit', state: 'failed', workers: ['w1'] },
      failures: [{ task: 'inspect', status: 'failed', error: { name: 'GraflowError', causes: ['TypeError: no 3'] } }],
    })
    const page = await run('report', 'user:1')
    expect([page.code, page.out.slice(0, 15)]).toEqual([0, '<!doctype html>'])
    expect(await run('report', 'nobody')).toMatchObject({ err: expect.stringContaining('there is no run "nobody"') })
    expect(await run('report')).toMatchObject({ code: 2, err: expect.stringContaining('the id of a run') })
  })
})

describe('graflow workers, queues, builds and dead', () => {
  it('list what there is, and do what they are told', async () => {
    const { client, worker, run, json } = await operated()
    expect((await run('workers')).out).toMatch(/\nw1 +ready +worker|\nw1 +ready +auto/)
    expect(await json('builds')).toMatchObject({ items: [{ buildId: 'b1', workers: 1, runs: 0 }] })
    const one = await client.submit(audit, items, { id: 'd1' })
    await expect(one.result()).rejects.toThrow('no 3')
    expect(await json('queues')).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining({ name: 'default', workers: 1 })]),
    })
    expect((await run('queues', 'pause', 'default')).out).toBe('default: paused: what runs goes on\n')
    expect((await run('queues')).out).toMatch(/default +paused/)
    expect((await run('queues', 'resume', 'default')).out).toBe('default: resumed\n')
    expect((await run('queues', 'pause')).err).toContain('expected the name of a queue, got nothing')
    const { items: letters } = await json('dead', '--task', 'inspect')
    expect(letters).toMatchObject([{ runId: 'd1', task: 'inspect', status: 'failed' }])
    const [{ id }] = letters
    expect((await run('dead', 'show', id)).out).toMatch(/branch 0\/2 \(3\), task inspect[^]*input: \{ n: 3 \}/)
    isMended = true
    const { items: replayed } = await json('dead', 'replay', id)
    expect(await (await client.attach(replayed[0].runId)).result()).toBe(6)
    expect(await json('dead', 'purge')).toEqual({ purged: 1 })
    expect((await run('dead')).out).toBe('there are no dead letters\n')
    expect((await run('workers', 'drain', 'w1', 'nosuch')).out).toBe(
      'w1: asked to leave\nnosuch: no live worker calls itself so\n',
    )
    await until(() => !worker.isRunning, 'the worker to leave')
  })
})

describe('flags that do nothing where they stand', () => {
  it('are refused, so that nothing more is done than was meant', async () => {
    const { client, run, json } = await operated()
    const one = await client.submit(audit, items, { id: 'f1' })
    await expect(one.result()).rejects.toThrow('no 3')
    for (const [flag, ...argv] of [
      ['--task', 'dead', 'purge', '--task', 'another'],
      ['--before', 'dead', 'purge', '1-0', '--before', '7d'],
      ['--before', 'dead', '--before', '7d'],
      ['--limit', 'runs', 'delete', '--state', 'failed', '--limit', '1'],
      ['--from', 'runs', 'cancel', 'f1', '--from', '0'],
      ['--reason', 'runs', 'f1', '--reason', 'none'],
      ['--state', 'runs', 'f1', '--state', 'running'],
      ['--path', 'runs', '--path', '0'],
      ['--watch', 'runs', 'retry', 'f1', '--watch'],
      ['--ahead', 'queues', 'resume', 'default', '--ahead'],
      ['--limit', 'workers', 'drain', 'w1', '--limit', '1'],
      ['--cursor', 'waits', 'f1', '--cursor', 'a'],
    ]) {
      const { code, err, out } = await run(...argv)
      expect({ argv, code, out, err }).toEqual({
        ...{ argv, code: 2, out: '' },
        err: expect.stringContaining(`${flag}: graflow ${argv[0]}`),
      })
    }
    expect((await json('dead')).items).toHaveLength(1)
    expect(await json('runs', 'f1')).toMatchObject({ state: 'failed' })
    expect(await run('dead', 'show', 'nosuch')).toMatchObject({
      code: 1,
      err: expect.stringContaining('no dead letter'),
    })
  })
})

describe('graflow top', () => {
  it('has what failed last, whenever it was created', async () => {
    const { client, json, run } = await operated()
    for (const id of ['old', 'new']) await (await client.submit(audit, items, { id })).result().catch(() => undefined)
    expect(await client.runs.retry('old')).toBe(true)
    await (await client.attach('old')).result().catch(() => undefined)
    const { failed } = await json('top')
    expect(failed.map(({ id }: { id: string }) => id)).toEqual(['old', 'new'])
    // why, before how many
    expect((await run('top')).out).toMatch(/old +audit +\S+ s +inspect\[2\] \(3\): .*no 3/)
  })

  it('puts what is at work before newer runs that wait, and has what says most where the screen is narrow', async () => {
    const { client, flags, json } = await operated()
    let release = (): void => undefined
    const gate = new Promise<void>((resolve) => (release = resolve))
    const work = await client.start(
      task('work', () => gate),
      undefined,
      { id: 'at-work' },
    )
    for (let n = 0; n < 20; n += 1) await client.submit(nap, undefined, { id: `nap-${n}` })
    const found = await json('top')
    expect([found.runs[0].id, found.runs.length, found.unfinished]).toEqual(['at-work', 12, 21])
    const narrow = commandHost({}, { columns: 40, isTTY: true, env: { TERM: 'dumb', NO_COLOR: '1' } })
    expect(await main(['top', ...flags], narrow)).toBe(0)
    expect(narrow.out.text).toMatch(
      /^graflow {2}21 runs not over.*\n\nRUN +STATE +PROGRESS\nat-work +running +-? ?0?\S*\n/,
    )
    release()
    await work.result()
  })

  it('shows one look where its output is no terminal, and is drawn anew on one until q', async () => {
    const { client, run, json, flags } = await operated()
    const one = await client.submit(nap, undefined, { id: 't1' })
    await until(async () => (await one.status()).state === 'waiting', 'it to sleep')
    expect((await run('top')).out).toMatch(/^graflow {2}1 run not over, .*1 worker\n\nRUN .*\nt1 +waiting +nap/)
    expect(await json('top')).toMatchObject({ runs: [{ id: 't1' }], workers: [{ id: 'w1' }], failed: [] })
    let press = (_key: string): void => undefined
    const host = commandHost(
      {},
      {
        isTTY: true,
        onKey: (fn) => {
          press = fn
          return () => undefined
        },
      },
    )
    const shown = main(['top', ...flags], host)
    await host.out.says(/t1[^]*\u001b\[H[^]*t1/, 15_000)
    press('q')
    expect(await shown).toBe(0)
    expect(host.out.text.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true)
  })
})
