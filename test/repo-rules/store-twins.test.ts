/** The kernel and the Lua scripts are one store in two languages: the same files, and the same functions in them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brokenTwins, unequalNumbers } from './store-twin-rule.js'

const backend = join(__dirname, '../../lib/backend')
const textsIn = (folder: string, ending: string): ReadonlyMap<string, string> =>
  new Map(
    readdirSync(join(backend, folder))
      .filter((file) => file.endsWith(ending))
      .map((file): [string, string] => [
        file.slice(0, -ending.length),
        readFileSync(join(backend, folder, file), 'utf8'),
      ]),
  )

/** What stands alone, and why. */
const ALONE = {
  'kernel.ts': 'puts the operations together; in Redis each is a script',
  'memory-backend.ts': 'the clock and the timers of a store in this process',
  'state.ts': 'all state in memory; part-base.lua, keys and hashes are its counterpart',
  'event-log.ts: readRunEvents': 'one script reads both logs',
  'kept-events.ts': 'a stream of Redis, in this process',
  'inspect.ts': 'one script a question: groups, outcomes, queues, sessions',
  'channel.ts: channel': 'three scripts by their flags: a read, a write that needs room, and one that needs none',
  'channel.ts: lock': 'a script by its flags, since it needs no room',
  'purge.ts: trimRetained': 'bounds what a process keeps; Redis has maxmemory',
  'ready-queue.ts: isServedBefore': 'the order is the score of a sorted set (newGroup)',
  'session.ts: shortestTtlMs': 'read with the sessions themselves (readSessions)',
  'sessions.ts: asSet': 'sets of names are texts with commas',
  'sweep.ts: nextDueAt': 'planned things stand in one sorted set (planSweeps)',
  'sweep.ts: awaitedDueAt': 'keeps the process of an embedded store alive',
  'sweep.ts: backgroundDueAt': 'wakes the timer of an embedded store',
  'waking.ts: place': 'commit works out once which groups stand in their lane',
  'waking.ts: countReady': 'commit works out once what counters have become',
  'waking.ts: countGranted': 'commit works out once what counters have become',
  'waking.ts: endFlight': 'commit works out once what counters have become',
  'parking.ts: unpark': 'what is planned for branches of a closed group is dropped when it is due',
  'waits.ts: dropWaits': 'part-runs has it: a part cannot need one that needs it',
  'part-base.lua': 'clock, counters and notices of one call, which the kernel has in state.ts',
  'part-commit.lua': 'the kernel changes its state in place and writes nothing',
  'part-index.lua': 'a store in this process cannot lose one of its maps',
  'part-repair.lua': 'a store in this process cannot lose one of its maps',
  'part-uploads.lua': 'a store in this process has values as they are',
  'part-pushing.lua': 'a store in this process saves no round trip by pushing',
}

const files = (...texts: readonly [string, string][]): ReadonlyMap<string, string> => new Map(texts)

describe('the two stores', () => {
  it('have the same files and functions', () => {
    const kernel = textsIn('kernel', '.ts')
    expect([...kernel.keys()]).toContain('barrier')
    expect(brokenTwins(kernel, textsIn('redis/lua', '.lua'), ALONE)).toEqual([])
  })

  it('have the same numbers under the same names', () => {
    const kept = readFileSync(join(backend, 'kept.ts'), 'utf8')
    const { shared, broken } = unequalNumbers(
      new Map([...textsIn('kernel', '.ts'), ['kept', kept]]),
      textsIn('redis/lua', '.lua'),
    )
    expect(broken).toEqual([])
    expect(shared).toBeGreaterThan(10)
  })
})

describe('the rule of twins', () => {
  const kernel = files(
    ['runs', 'export function endRun() {}\nfunction own() {}\n'],
    ['step', 'export function step() {}\n'],
  )

  it('is kept by a part, a script, or scripts of the name', () => {
    expect(
      brokenTwins(kernel, files(['part-runs', 'function endRun()\nend\n'], ['step', 'function step()\nend\n']), {}),
    ).toEqual([])
    expect(
      brokenTwins(
        kernel,
        files(['runs-end', 'function endRun()\nend\n'], ['part-step', 'local function step(x)\nend\n']),
        {},
      ),
    ).toEqual([])
  })

  it('refuses a kernel file without a twin, and a part without one', () => {
    expect(brokenTwins(kernel, files(['part-runs', 'function endRun()\nend\n'], ['part-sweep', '']), {})).toEqual([
      'step.ts has no Lua part of its name',
      'part-sweep.lua has no kernel file of its name',
    ])
  })

  it('refuses a function of another name', () => {
    expect(
      brokenTwins(
        kernel,
        files(['part-runs', 'function finishRun()\nend\n'], ['part-step', 'function step()\nend\n']),
        {},
      ),
    ).toEqual(['runs.ts exports endRun, which its Lua part does not have'])
  })

  it('lets pass what has a reason, and refuses a reason for nothing', () => {
    const lua = files(['part-runs', 'function endRun()\nend\n'])
    expect(brokenTwins(kernel, lua, { 'step.ts': 'because' })).toEqual([])
    expect(brokenTwins(kernel, lua, { 'step.ts': 'because', 'runs.ts: endRun': 'because' })).toEqual([
      'runs.ts: endRun has a twin, or is gone: it needs no reason',
    ])
  })

  it('refuses a number that is another one in Lua', () => {
    const numbers = files(['sweep', 'const MOST_ITEMS = 4 * 64\nexport const GAP_MS = 1_000\nconst ALONE = 1\n'])
    const lua = (gap: number) => files(['part-sweep', `local MOST_ITEMS, OTHER = 256, 7\nGAP_MS = ${gap}\n`])
    expect(unequalNumbers(numbers, lua(1_000))).toEqual({ shared: 2, broken: [] })
    expect(unequalNumbers(numbers, lua(999))).toEqual({ shared: 2, broken: ['GAP_MS'] })
  })
})
