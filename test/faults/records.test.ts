/**
 * What lies in Redis, and what becomes of it: hints that are doubled, stale or garbage, results under old and false tokens, sweeps that race
 * with the work, files that end in the middle of a sweep. On the backend itself, by its own answers.
 */
import { cpSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from 'graflow/testing'
import type { Grant, SettleAnswer } from '../../lib/backend/backend.js'
import { type Stage, useStage } from '../support/redis-stage.js'
import { elapse, until, within } from '../support/waits.js'
import { bytes, SHORT_TTL_MS, type World, worldOn } from '../support/world.js'

const open = useStage()
/** Whole numbers that look random and are the same each time. */
function numbersBelow(seed: number): (limit: number) => number {
  const random = seededRandom(seed)
  return (limit) => Math.floor(random() * limit)
}
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

/** The lane of a queue's branches, as Redis names it. */
async function laneOf(stage: Stage, queue = 'default'): Promise<string> {
  const lanes = await stage.redis.hgetall(stage.keys.lanes)
  const found = Object.entries(lanes).find(([, facts]) => facts.includes(`\t${queue}|`))
  if (found === undefined) throw new Error(`expected a lane of ${queue} in ${JSON.stringify(lanes)}`)
  return stage.keys.lane(found[0])
}

async function quarantined(stage: Stage): Promise<number> {
  return stage.redis.xlen(stage.keys.quarantine)
}

describe('a lease', () => {
  it('FT-W13: that has expired is good for a result as long as nobody has taken the branch back', async () => {
    const stage = await open()
    const world = await worldOn(await stage.backend())
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1 })
    await world.join('late', { ttlMs: SHORT_TTL_MS })
    const grant = await world.takeOne(1, { session: 'late' })
    await world.harness.stall(2 * SHORT_TTL_MS) // nobody sweeps
    expect(await world.settle(grant, 'succeeded')).toBe('ok')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0'])
  })
})

describe('hints', () => {
  it('FT-W14: doubled places in lanes, doubled and stale indexes: every branch is granted once at a time', async () => {
    const stage = await open()
    const world = await worldOn(await stage.backend())
    const below = numbersBelow(14)
    const holder = await world.start('run')
    const size = 60
    for (const gid of ['run/0', 'run/1']) await world.dispatch(holder, gid, { size, attempts: 255 })
    const lane = await laneOf(stage)
    const held = new Map<string, Grant>()
    const done = new Set<string>()
    const corruptions = { placed: 0, requeued: 0 }
    for (let turn = 0; turn < 600 && done.size < 2 * size; turn += 1) {
      const gid = `run/${below(2)}`
      switch (below(5)) {
        case 0:
          corruptions.placed += await stage.redis.zadd(lane, below(1_000_000), gid)
          break
        case 1: {
          const indexes = Array.from({ length: 5 }, () => below(size + 3))
          corruptions.requeued += await stage.redis.rpush(stage.keys.requeued(gid), ...indexes)
          break
        }
        case 2:
        case 3:
          for (const grant of await world.take(1 + below(8))) {
            for (const index of grant.indexes) {
              const name = `${grant.spec.gid}#${index}`
              expect([name, held.has(name), done.has(name)]).toEqual([name, false, false])
              expect(index).toBeLessThan(size)
              held.set(name, grant)
            }
          }
          break
        default:
          for (const [name, grant] of [...held].slice(0, 1 + below(6))) {
            const kind = below(3) === 0 ? 'released' : 'succeeded'
            expect(await world.settle(grant, kind, [Number(name.split('#')[1])])).toBe('ok')
            held.delete(name)
            if (kind === 'succeeded') done.add(name)
          }
      }
    }
    for (const [name, grant] of held) await world.settle(grant, 'succeeded', [Number(name.split('#')[1])])
    for (let grants = await world.take(); grants.length > 0; grants = await world.take())
      for (const grant of grants) expect(await world.settle(grant, 'succeeded')).toBe('ok')
    for (const gid of ['run/0', 'run/1']) {
      expect(await world.outcomes(gid)).toEqual(numbers(size).map((n) => `succeeded:v${n}`))
      expect(await world.state(gid)).toBe('released')
    }
    expect(corruptions.requeued).toBeGreaterThan(100)
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 0 })
  })

  it('FT-Q2: places, indexes and leases of groups that are not there are dropped', async () => {
    const stage = await open()
    const world = await worldOn(await stage.backend())
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const lane = await laneOf(stage)
    await stage.redis.zadd(lane, -1e15, 'gone/0', -1e15, 'never-was', -1e15, 'run')
    await stage.redis.rpush(stage.keys.requeued('gone/0'), 0, 1)
    await stage.redis.zadd(stage.keys.delayed, 0, 'gone/0#3')
    await stage.redis.zadd(stage.keys.due, 0, 'd gone/0#1', 0, 'a gone/0', 0, 't gone', 0, 'p gone')
    await stage.redis.zadd(stage.keys.purge, 0, 'p gone')
    await stage.redis.hset(stage.keys.owned('w'), 'gone/0#1', 2)
    expect(world.names(await world.take())).toEqual(['run/0#0', 'run/0#1', 'run/0#2'])
    await world.live(300)
    expect(await stage.redis.zrange(lane, 0, -1)).toEqual([])
    expect(await stage.redis.zcard(stage.keys.delayed)).toBe(0)
    expect((await stage.redis.zrange(stage.keys.purge, 0, -1)).filter((entry) => entry.includes('gone'))).toEqual([])
    expect((await stage.redis.zrange(stage.keys.due, 0, -1)).filter((entry) => entry.includes('gone'))).toEqual([])
    const reconcile = { kind: 'reconcile', session: 'w', known: [] } as const
    expect(await world.backend.session(reconcile)).toMatchObject({ status: 'reconciled' })
  })

  it('FT-Q1, X16: 40 000 entries of garbage everywhere: dropped or quarantined, and what is whole goes on', async () => {
    const stage = await open({})
    const world = await worldOn(await stage.backend())
    const below = numbersBelow(1)
    const holder = await world.start('run')
    const other = await world.start('other')
    await world.dispatch(holder, 'run/0', { size: 50, attempts: 3 })
    await world.dispatch(holder, 'run/9', { size: 50, queue: 'second' })
    for (const gid of ['other/spec', 'other/table', 'other/state', 'other/type']) {
      await world.dispatch(other, gid, { size: 8, priority: 100 })
    }
    const { keys, redis } = stage
    const garbage = (): Buffer =>
      Buffer.from(Array.from({ length: below(24) }, () => (below(3) === 0 ? below(256) : 32 + below(90))))
    const lane = await laneOf(stage)
    let written = 0
    type Word = Buffer | string | number
    const fill = async (command: string, key: string, count: number, entry: () => readonly Word[]): Promise<void> => {
      for (let i = 0; i < count; i += 1_000) {
        await redis.call(command, key, ...Array.from({ length: 1_000 }, entry).flat())
        written += 1_000
      }
    }
    await fill('ZADD', lane, 8_000, () => [below(2) === 0 ? -below(1e9) : below(1e9), garbage()])
    await fill(
      'RPUSH',
      keys.requeued('run/0'),
      8_000,
      () => [[garbage()], [String(below(1e10))], [String(below(60))], ['-1', 'nan', '1e3']][below(4)] ?? [],
    )
    await fill('ZADD', keys.delayed, 8_000, () => [below(1e9), below(2) === 0 ? garbage() : `run/0#${below(200)}`])
    await fill('ZADD', keys.due, 8_000, () => [
      below(1e9),
      Buffer.concat([Buffer.from(['d ', 'a ', 't ', 'p ', 'x', ''][below(6)] ?? ''), garbage()]),
    ])
    await fill('HSET', keys.owned('w'), 4_000, () => [garbage(), garbage()])
    await fill('RPUSH', keys.todo, 2_000, () => [garbage()])
    await fill('ZADD', keys.waiting, 2_000, () => [below(1e9), garbage()])
    await redis.rpush(keys.lost, garbage(), 'nobody', '')
    await redis.hset(keys.group('other/spec'), 'h', Buffer.from([0xff, 0, 1, 2, 3]))
    await redis.hset(keys.group('other/table'), 'd', garbage())
    await redis.hset(keys.group('other/state'), 's', garbage())
    await redis.del(keys.group('other/type'))
    await redis.rpush(keys.group('other/type'), 'a list')
    expect(written).toBe(40_000)

    const grants: Grant[] = []
    const sweeps: string[] = []
    let left = Infinity
    const isDone = (): boolean =>
      left < 100 && grants.flatMap(({ spec, indexes }) => (spec.runId === 'run' ? [...indexes] : [])).length >= 100
    const goOn = async (): Promise<void> => {
      while (!isDone()) {
        sweeps.push((await world.backend.sweep('driver')).status)
        for (const grant of await world.take(100, { queues: ['default', 'second'] })) grants.push(grant)
        left = (await redis.zcard(keys.due)) + (await redis.zcard(keys.delayed)) + (await redis.llen(keys.todo))
        await elapse(4)
      }
    }
    await within(30_000, goOn(), 'the garbage is gone, and everything of the whole groups is granted')
    for (const grant of grants)
      if (grant.spec.runId === 'run') expect(await world.settle(grant, 'succeeded')).toBe('ok')
    for (const gid of ['run/0', 'run/9'])
      expect(await world.outcomes(gid)).toEqual(numbers(50).map((n) => `succeeded:v${n}`))
    expect(await quarantined(stage)).toBeGreaterThan(0)
    expect(await world.step(holder, { end: { state: 'completed', value: bytes('x') } })).toMatchObject({ status: 'ok' })
    expect(sweeps).toContain('ok')
    // whoever looks at a broken group gets a reason, and nobody hangs
    for (const gid of ['other/type', 'other/state'])
      await expect(world.backend.inspect.outcomes(gid, 0)).rejects.toMatchObject({ code: 'INTEGRITY' })
    // and the rest of the store is readable
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'completed' })
    expect((await world.backend.inspect.queues()).map(({ queue }) => queue)).toContain('default')
    expect((await world.backend.inspect.runs({ limit: 9 })).items).toHaveLength(2)
  }, 60_000)
})

describe('completions', () => {
  it('FT-W15, FT-W16, X7: the first result under the current token counts, once; all others do not', async () => {
    const stage = await open()
    const world = await worldOn(await stage.backend())
    const below = numbersBelow(15)
    const size = 40
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size, attempts: 255 })
    const current = new Map<number, Grant>()
    const old: { grant: Grant; index: number }[] = []
    const settled = new Map<number, { grant: Grant; value: string }>()
    const counted = { ok: 0, dup: 0, fenced: 0 }
    const settle = async (grant: Grant, index: number, value: string): Promise<SettleAnswer> => {
      const range = world.range(grant, 'succeeded', [index])
      return world.settleRange({ ...range, values: { bytes: bytes(value), ends: Uint32Array.of(value.length) } })
    }
    for (let turn = 0; turn < 20_000 && settled.size < size; turn += 1) {
      const index = below(size)
      const grant = current.get(index)
      const before = settled.get(index)
      switch (below(6)) {
        case 0:
          for (const taken of await world.take(5)) for (const one of taken.indexes) current.set(one, taken)
          break
        case 1: // given back, so that its token is old
          if (grant === undefined || below(2) === 0) break
          expect(await world.settle(grant, 'released', [index])).toBe('ok')
          current.delete(index)
          old.push({ grant, index })
          break
        case 2: // the right token
          if (grant === undefined || below(3) > 0) break
          expect(await settle(grant, index, `good${turn}`)).toBe('ok')
          settled.set(index, { grant, value: `good${turn}` })
          current.delete(index)
          counted.ok += 1
          break
        case 3: // the same again, with another value
          if (before === undefined) break
          expect(['dup', 'withdrawn']).toContain(await settle(before.grant, index, `doubled${turn}`))
          counted.dup += 1
          break
        case 4: {
          const stale = old[below(Math.max(1, old.length))]
          if (stale === undefined || stale.grant === current.get(stale.index)) break
          const answer = await settle(stale.grant, stale.index, `stale${turn}`)
          expect(['fenced', 'dup']).toContain(answer)
          counted.fenced += 1
          break
        }
        default: {
          if (grant === undefined) break
          const lease = grant.token.slice(grant.token.lastIndexOf('-'))
          const forged = { ...grant, token: `${grant.fence + below(2)}.forged${lease}` }
          expect(await settle(forged, index, `forged${turn}`)).toBe('fenced')
          counted.fenced += 1
        }
      }
    }
    expect(await world.outcomes('run/0')).toEqual(numbers(size).map((n) => `succeeded:${settled.get(n)?.value ?? '?'}`))
    expect(counted.ok).toBe(size)
    expect(counted.dup).toBeGreaterThan(10)
    expect(counted.fenced).toBeGreaterThan(10)
  })
})

describe('sweeps', () => {
  it('FT-R4: race with completions: a branch that was completed is left alone, one that was reclaimed is refused', async () => {
    const stage = await open()
    const world = await worldOn(await stage.backend())
    const size = 480
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size, maxLosses: 254 })
    const first = new Map<number, string>()
    let lost = 0
    const round = async (session: string, settlesAfterMs: number): Promise<void> => {
      await world.join(session, { ttlMs: SHORT_TTL_MS })
      const grants = await world.take(40, { session })
      // before, at and after the moment of its expiry, half of it is settled while others sweep
      await world.harness.advance(settlesAfterMs)
      for (const grant of grants) {
        for (const index of grant.indexes) {
          if (index % 2 === 0) continue
          const [answer] = await world.backend.settle({
            session,
            ranges: [
              {
                ...world.range(grant, 'succeeded', [index]),
                values: { bytes: bytes(session), ends: Uint32Array.of(session.length) },
              },
            ],
          })
          if (answer === 'ok') {
            expect(first.has(index)).toBe(false)
            first.set(index, session)
          } else {
            expect(answer).toBe('fenced')
            lost += 1
          }
        }
      }
    }
    const over = new AbortController()
    const sweeping = (async () => {
      while (!over.signal.aborted) {
        await world.backend.sweep('driver')
        await world.harness.advance(10)
      }
    })()
    await Promise.all(numbers(12).map((n) => round(`mortal${n}`, n * 60)))
    over.abort()
    await sweeping
    await world.liveUntil(async () => (await world.queue())?.granted === 0)
    for (let grants = await world.take(); grants.length > 0; grants = await world.take()) {
      for (const grant of grants) {
        for (const index of grant.indexes) expect(first.has(index)).toBe(false)
        await world.settle(grant, 'succeeded')
      }
    }
    expect(await world.outcomes('run/0')).toEqual(numbers(size).map((n) => `succeeded:${first.get(n) ?? `v${n}`}`))
    expect(first.size).toBeGreaterThan(0)
    expect(lost).toBeGreaterThan(0)
  })

  it('FT-R3: is done as a whole or not at all, wherever the append-only file ends', async () => {
    const stage = await open({ persistence: 'always', config: { 'auto-aof-rewrite-percentage': '0' } })
    const world = await worldOn(await stage.backend())
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 6, maxLosses: 0 })
    await world.join('mortal', { ttlMs: SHORT_TTL_MS })
    await world.takeOne(4, { session: 'mortal' })
    const file = appendOnlyFile(stage)
    await world.harness.stall(SHORT_TTL_MS - 100)
    const ledgerOf = async (on: World): Promise<string> => {
      const [group] = await on.backend.inspect.groups('run')
      const letters = await on.backend.inspect.deadLetters(9)
      const sessions = (await on.backend.inspect.sessions()).map(({ session }) => session).sort()
      return JSON.stringify([group?.ready, group?.granted, group?.dead, letters.length, sessions])
    }
    let before = 0
    let stateBefore = ''
    await until(async () => {
      before = statSync(file).size
      stateBefore = await ledgerOf(world)
      const answer = await world.backend.sweep('driver')
      return answer.status === 'ok' && answer.reclaimed > 0
    }, 'a sweep that reclaims')
    const after = statSync(file).size
    const stateAfter = await ledgerOf(world)
    expect(stateAfter).not.toBe(stateBefore)
    await stage.server.kill9()
    const whole = join(stage.server.folder, 'whole')
    cpSync(join(stage.server.folder, 'appendonlydir'), whole, { recursive: true })

    const states = { before: 0, after: 0 }
    const step = Math.max(1, Math.floor((after - before) / 24))
    for (let size = before; size <= after; size = size < after ? Math.min(size + step, after) : after + 1) {
      rmSync(join(stage.server.folder, 'appendonlydir'), { recursive: true })
      cpSync(whole, join(stage.server.folder, 'appendonlydir'), { recursive: true })
      truncateSync(file, size)
      await stage.server.restart()
      const found = await ledgerOf(world)
      expect([stateBefore, stateAfter]).toContain(found)
      states[found === stateAfter ? 'after' : 'before'] += 1
      await stage.server.kill9()
    }
    expect(states.after).toBe(1)
    expect(states.before).toBeGreaterThan(20)
    await stage.server.restart()
  }, 60_000)
})

/** The file that grows. */
function appendOnlyFile(stage: Stage): string {
  const folder = join(stage.server.folder, 'appendonlydir')
  const found = readdirSync(folder).find((name) => name.includes('.incr.'))
  if (found === undefined) throw new Error(`expected an append-only file in ${folder}`)
  return join(folder, found)
}
