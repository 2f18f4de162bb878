/** What `status()` asks of the store: people and displays call it again and again. */
import { each, seq, task, waitFor } from 'graflow'
import { seededRandom } from 'graflow/testing'
import { openDistant } from '../support/distant-store.js'
import { Gate } from '../support/gate.js'
import { until } from '../support/waits.js'

/** What it may ask; the process itself asks other things now and then. */
const ASKED: ReadonlySet<string> = new Set(['run', 'groups', 'outputs', 'output', 'saved', 'openWaits', 'now'])

async function distant() {
  const calls: string[] = []
  const turns = (what: string): number => {
    calls.push(what)
    return 1
  }
  const store = await openDistant({ slots: 4, turns, random: seededRandom(1) })
  /** The calls that it makes, each named once a way. */
  const callsOf = async (act: () => Promise<unknown>): Promise<string[]> => {
    calls.length = 0
    await act()
    return calls.filter((name) => ASKED.has(name))
  }
  return { ...store, callsOf }
}

describe('status()', () => {
  it('asks three things at once, and what an unfinished run waits for after that', async () => {
    const { client, callsOf } = await distant()
    const gate = new Gate()
    const held = task('held', (n: number) => gate.pass().then(() => n))
    const run = await client.start(seq(each(held), waitFor('ok')), [1, 2])
    await gate.reached(2)
    const first = ['run', 'groups', 'outputs']
    const all = [...first, ...first, 'openWaits', 'openWaits'].join(' ')
    // the process may look at its runs meanwhile
    const untilAll = (): Promise<void> =>
      until(async () => (await callsOf(() => run.status())).join(' ') === all, `a status by ${all}`)
    await untilAll()
    gate.open()
    await until(async () => (await run.status()).state === 'waiting', 'the question')
    await untilAll()
    await run.cancel('enough')
    expect(await callsOf(() => run.status())).not.toContain('openWaits')
    await client.close()
  })
})
