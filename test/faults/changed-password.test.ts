/** The password is changed while everything runs: who could go on with another one is told so, once. */
import { join } from 'node:path'
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
  expect(log).toEqual([expect.stringMatching(/^warn .*WRONGPASS.*check the user and the password/)])
  expect(worker.output.match(/WRONGPASS/g)).toHaveLength(1)
}, 30_000)
