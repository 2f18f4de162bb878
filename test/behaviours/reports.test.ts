/** Reports of runs: what they say, and that their page needs nothing else. */
import { join } from 'node:path'
import type { Graflow, ReportData, ReportGroup } from 'graflow'
import { describeOnBackends } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { Stage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { deadly, HOSTILE, hostile, once, wide } from './reports.tasks.js'

const reported = async (graflow: Graflow, id: string): Promise<ReportData> => (await graflow.runs.report(id)).data
const groupAt = ({ groups }: ReportData, path: string): ReportGroup => {
  const found = groups.find((group) => group.path === path)
  if (found === undefined)
    throw new Error(`expected a group at ${path}, got ${groups.map((group) => group.path).join()}`)
  return found
}

describeOnBackends('a report of a run', (open) => {
  it('has when and where every branch was started, of groups in groups, forks and loops', async () => {
    const graflow = await open()
    const run = await graflow.start(wide, 4)
    await run.result()
    const data = await reported(graflow, run.id)
    expect(data).toMatchObject({ id: run.id, state: 'completed', failures: [] })
    expect(data.groups.map(({ path, width }) => [path, width]).sort()).toEqual(
      [
        ['1', 4],
        ['2', 4],
        ['2/0/1', 2],
        ['2/1/1', 2],
        ['2/2/1', 2],
        ['2/3/1', 2],
        ['3/~1/0', 2],
        ['4/1/0', 2],
      ].sort(),
    )
    for (const group of data.groups) {
      expect([group.path, group.timed, group.counts.succeeded]).toEqual([group.path, group.width, group.width])
      for (const { start = -1, end = -1, worker = -1 } of group.branches) {
        expect(start).toBeGreaterThanOrEqual(group.openedAt - 1)
        expect(end).toBeLessThanOrEqual((group.releasedAt ?? -1) + 1)
        expect(data.workers[worker]).toMatch(/^(one|two|embedded-.+)$/)
      }
    }
    expect(groupAt(data, '1')).toMatchObject({ title: 'flaky*', retries: 1, losses: 0, state: 'released' })
    expect(data.steps.map(({ path, task }) => [path, task])).toEqual([
      ['0', 'list'],
      ['3', 'forks'],
      ['4/1/1', 'enough'],
    ])
    expect(data.critical.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['step', 'start', 'branch']))
    expect(data.counts['1']).toEqual({ done: 4, failed: 0, all: 4 })
    expect(data.svg).toContain('<svg')
    expect(data.values).toContainEqual({ path: '', task: 'input of the run', input: '4' })
  })

  it('knows the worker also where nothing ended by its first report', async () => {
    const graflow = await open()
    const run = await graflow.start(once, [1])
    await run.result()
    const data = await reported(graflow, run.id)
    expect(data.groups).toMatchObject([{ retries: 1, branches: [{ errors: 1, worker: 0 }] }])
    expect(data.workers).toEqual([expect.stringMatching(/^(one|two|embedded-.+)$/)])
  })

  it('says what failed, and shows nothing of it as markup', async () => {
    const graflow = await open()
    const run = await graflow.start(hostile, undefined, { tags: [HOSTILE.slice(0, 20)] })
    await failureOf(run.result())
    const report = await graflow.runs.report(run.id)
    expect(report.data.error).toMatchObject({ code: 'GROUP_FAILED' })
    expect(report.data.failures).toMatchObject([{ path: '1/0', task: 'bad', status: 'failed' }])
    expect(report.data.failures[0]?.error.stack).toContain('at </script>')
    const html = report.toHtml()
    expect(html.match(/<\/script>/g)).toHaveLength(2)
    expect([
      html.includes('<script>document'),
      html.includes('<!--'),
      /https?:|src=|@import|url\((?!#)/.test(html),
    ]).toEqual([false, false, false])
    expect(JSON.parse(/<script type="application\/json" id="data">(.*)<\/script>/.exec(html)?.[1] ?? '')).toMatchObject(
      {
        failures: [{ error: { message: expect.stringContaining(HOSTILE) } }],
      },
    )
  })

  it('is RUN_NOT_FOUND where there is no run', async () => {
    const graflow = await open()
    expect(await failureOf(graflow.runs.report('nobody'))).toMatchObject({ code: 'RUN_NOT_FOUND' })
  })
})

describe('a report of a run whose worker was killed', () => {
  it('counts the loss, and says where the branch went on', async () => {
    const stage = new Stage(await sharedRedis(), join(__dirname, 'reports.tasks.ts'))
    try {
      const client = await stage.client()
      const run = await client.start(deadly, [0])
      await (await stage.worker('first')).exited
      await stage.worker('second')
      expect(await run.result()).toEqual([0])
      const data = await reported(client, run.id)
      expect(data.workers).toEqual(['second'])
      expect(data.groups[0]).toMatchObject({ retries: 1, losses: 1, timed: 1 })
    } finally {
      await stage.end()
    }
  }, 30_000)
})

describe('a worker that keeps no times', () => {
  it('leaves them out, and the report says so', async () => {
    const { connect } = await import('graflow')
    const graflow = await connect({ timings: false, logLevel: 'silent' })
    const run = await graflow.start(wide, 2)
    await run.result()
    const data = await reported(graflow, run.id)
    expect([data.workers, groupAt(data, '1').timed, groupAt(data, '1').counts.succeeded]).toEqual([[], 0, 2])
    expect(data.notes.join()).toContain('timings: false')
    await graflow.close()
  })
})
