/** Workers that know a run only together, of which one is killed in the middle. */
import { join } from 'node:path'
import { par, seq } from 'graflow'
import { gatedLeft, left } from '../faults/split-left.tasks.js'
import { gatedRight } from '../faults/split-right.tasks.js'
import { useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'

const LEFT = join(__dirname, '../faults/split-left.tasks.ts')
const RIGHT = join(__dirname, '../faults/split-right.tasks.ts')
const walk = { steps: [] as readonly string[] }

const open = useStage()

describe('a worker of two that know a run only together', () => {
  it.each(['one', 'two'])(
    'X15: may be killed in the middle (%s)',
    async (killed) => {
      const stage = await open()
      const client = await stage.client()
      const modules = { one: LEFT, two: RIGHT }
      const workers = {
        one: await stage.worker('one', { tasks: LEFT }),
        two: await stage.worker('two', { tasks: RIGHT }),
      }
      const run = await client.submit(seq(left, par(gatedLeft, gatedRight)), { ...walk, gate: 'go' })
      await Promise.all([stage.ledger.until('gated-left', 1), stage.ledger.until('gated-right', 1)])
      const which = killed as 'one' | 'two'
      workers[which].signal('SIGKILL')
      await stage.worker(`${which}-again`, { tasks: modules[which] })
      await until(
        () => stage.ledger.notes(which === 'one' ? 'gated-left' : 'gated-right').length === 2,
        'the second start',
        15_000,
      )
      stage.ledger.open('go')
      expect(await run.result()).toMatchObject([{ steps: ['left', 'gated-left'] }, { steps: ['left', 'gated-right'] }])
      expect(stage.ledger.notes('left')).toHaveLength(1)
    },
    40_000,
  )
})
