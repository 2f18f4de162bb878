import { join } from 'node:path'
import { compiled } from '../support/compiled.js'
import { Child } from '../support/processes.js'
import { build, root, runExample } from '../support/programs.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'

beforeAll(build, 120_000)

describe('examples/agent-approval', () => {
  it('asks before it refunds, and does what the person says', async () => {
    const { code, stdout } = await runExample('agent-approval/main.ts', ['--answer', 'yes'])
    const [asked, answer] = stdout.split('\n')
    expect(asked).toMatch(/^run \S+ is waiting: May the agent refund this order\?$/)
    expect(answer).toMatch(/^refunded, approved by you, key \S+ \(order 7: arrived broken\)$/)
    expect(code).toBe(0)
  })
})

describe('examples/order', () => {
  it('is paid while no process holds it, and taken up again after the kill -9 of the process that started it', async () => {
    const flags = ['--redis-url', (await sharedRedis()).url, '--key-prefix', freshPrefix()]
    const order = async (...words: string[]) => {
      const { stdout } = await runExample('order/main.ts', [...words, ...flags])
      return stdout.trim()
    }
    const args = [compiled(join(root, 'examples/order/main.ts')), 'start', 'o-1', ...flags]
    const started = new Child({ name: 'order', args, env: {} })
    await started.said(/is placed/)
    await started.kill9()
    expect(await order('pay', 'o-1', 'r-9')).toBe('order o-1 is paid')
    expect(await order('resume', 'o-1')).toBe('order o-1 is shipped, receipt r-9; how was it?')
  }, 60_000)
})
