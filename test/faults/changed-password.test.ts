/** A password that is wrong, missing, or changed while everything runs: who could go on with another one is told so, once. */
import { join } from 'node:path'
import { each, task } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { localWorker } from '../support/local-worker.js'
import { useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'

const open = useStage(join(__dirname, 'fault.tasks.ts'))

it('FT-D2: a changed password is told once, at warn, with the answer of Redis and what to do', async () => {
  const stage = await open({})
  await stage.redis.call('ACL', 'SETUSER', 'ada', 'on', '>old', '~*', '&*', '+@all')
  const url = `redis://ada:old@127.0.0.1:${stage.server.port}`
  const worker = await stage.worker('a', { url })
  const client = await stage.client({}, url)
  const log: string[] = []
  client.events.subscribe('log', ({ level, message }) => log.push(`${level} ${message}`))
  await stage.redis.call('ACL', 'SETUSER', 'ada', 'resetpass', '>new')
  await stage.redis.call('CLIENT', 'KILL', 'USER', 'ada')
  await worker.said(/WRONGPASS/, 10_000)
  await until(() => log.length > 0, 'a line of the log')
  expect(log).toEqual([expect.stringMatching(/^warn .*WRONGPASS.*; check the user and the password in the address$/)])
  expect(worker.output.match(/WRONGPASS/g)).toHaveLength(1)
}, 30_000)

it('FT-D2: a password that is asked for from now on is told once, and the run goes on when it is not any more', async () => {
  const stage = await open({})
  const work = task('work', (n: number) => n + 1)
  const log: string[] = []
  const client = await stage.client()
  const worker = await localWorker(stage, 'w', [work])
  for (const { events } of [client, { events: worker.emitter }])
    events.subscribe('log', ({ level, message }) => log.push(`${level} ${message}`))
  await stage.redis.config('SET', 'requirepass', 'new')
  const run = client.run(each(work), [1, 2])
  await stage.redis.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until(() => log.length >= 2, 'client and worker say it')
  const said = expect.stringMatching(
    /^warn .*NOAUTH Authentication required; it asks for a password: write redis:\/\/:<password>@/,
  )
  expect(log).toEqual([said, said])
  await stage.redis.config('SET', 'requirepass', '')
  expect(await run).toEqual([2, 3])
  expect(log.filter((line) => line.includes('NOAUTH'))).toHaveLength(2)
}, 30_000)

it('FT-D2: a wrong or missing password is told when a client or a worker connects, once', async () => {
  const stage = await open({ password: 'right' })
  const { port } = stage.server
  for (const [login, answer, toDo] of [
    ['', 'NOAUTH', 'it asks for a password'],
    [':wrong@', 'WRONGPASS', 'check the user and the password'],
  ] as const) {
    const url = `redis://${login}127.0.0.1:${port}`
    const worker = stage.spawnWorker('a', { url })
    const { code, message } = await failureOf(stage.client({}, url))
    expect([code, message]).toEqual(['REDIS_UNSUITABLE', expect.stringMatching(`${answer} .*; ${toDo}`)])
    expect((await worker.ends(20_000)).code).toBe(1)
    expect(worker.output.trim().split('\n')).toEqual([expect.stringMatching(`${answer} .*; ${toDo}`)])
  }
}, 60_000)
