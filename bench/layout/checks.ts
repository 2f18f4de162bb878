/**
 * What both layouts promise, asked of a real server before anything is measured: every call can be repeated, a stale token changes
 * nothing, a barrier releases once, and a key of the wrong type stops a script before its first write.
 */
import type { Redis } from 'ioredis'
import { asText, type Call, flush, type Grant, type Group, type Layout, SUCCEEDED, TAG } from './layout.js'
import { Checksum, expectedSum, handle, makeInputs } from './workload.js'

const INBOX = `${TAG}:in:check`
const RUN = 'run-check'
const TOKEN = '1.check'
const SIZE = 300
const BATCH = 100
/** Of an input: together more than one segment. */
const BYTES = 6_000

/** Throws with what was expected where a promise is not kept; says how many things were asked. */
export async function checkLayout(redis: Redis, layout: Layout): Promise<number> {
  return (await checkLife(redis, layout)) + (await checkWrongTypes(redis, layout))
}

async function checkLife(redis: Redis, layout: Layout): Promise<number> {
  const asked = new Asked(layout.name)
  const group = await open(redis, layout)
  const inputs = makeInputs(SIZE, BYTES)
  const one = async (call: Call): Promise<unknown> => (await flush(redis, [call]))[0]
  const words = async (call: Call): Promise<readonly string[]> => ((await one(call)) as readonly unknown[]).map(asText)
  const digest = async (): Promise<string> => String(await redis.call('DEBUG', 'DIGEST'))
  const settle = async (session: string, grants: readonly Grant[]): Promise<readonly string[]> =>
    words(layout.settle(session, grants.map(done)))

  asked.same('a step by another token', await words(layout.step({ ...group, token: '1.other' }, inputs, 0, 200)), [
    'FENCED',
  ])
  asked.same('the first step', await words(layout.step(group, inputs, 0, 200)), ['OK', '200'])
  const before = await digest()
  asked.same('the first step again', await words(layout.step(group, inputs, 0, 200)), ['OK', '200'])
  asked.same('a step ahead of its turn', await words(layout.step(group, inputs, 250, SIZE)), ['OK', '200'])
  asked.same('what repeated steps changed', await digest(), before)
  asked.same('the second step', await words(layout.step(group, inputs, 200, SIZE)), ['OK', '300'])

  asked.same('an acquire without a session', await words(layout.acquire('nobody', 'a', 'n0', 5)), ['NOSESSION'])
  const acquire = async (session: string, nonce: string): Promise<readonly Grant[]> =>
    layout.grants(await one(layout.acquire(session, 'a', nonce, BATCH)))
  const first = await acquire('s1', 'n1')
  asked.same('how many were granted', counted(first), BATCH)
  asked.same('an acquire repeated', await words(layout.acquire('s1', 'a', 'n1', BATCH)), ['REPEAT'])
  asked.same('a settle', await settle('s1', first), ['OK'])
  const settled = await digest()
  asked.same('the same settle again', await settle('s1', first), ['DUP'])
  asked.same(
    'a settle by another token',
    await settle(
      's1',
      first.map((grant) => ({ ...grant, ...copyOf(grant), token: '1.x' })),
    ),
    ['FENCED'],
  )
  asked.same('what refused settles changed', await digest(), settled)

  const lost = await acquire('s1', 'n2')
  asked.same('how many a sweep took back', await one(layout.sweep('s1')), BATCH)
  asked.same('a settle of what was taken back', await settle('s1', lost), ['FENCED'])
  const again = [...(await acquire('s2', 'n3')), ...(await acquire('s2', 'n4'))]
  asked.same('how many were granted after that', counted(again), SIZE - BATCH)
  asked.same('a settle of what another holds', await settle('s1', lost), ['FENCED'])
  asked.same('events before the last settle', await redis.xlen(INBOX), 0)
  const swept = await settle('s2', again)
  asked.same('the last settles', [...new Set(swept)], ['OK'])
  asked.same('the last settles again', [...new Set(await settle('s2', again))], ['DUP'])
  asked.same('release events', await redis.xlen(INBOX), 1)
  asked.same('a step after the release', await words(layout.step(group, inputs, SIZE, SIZE)), ['DONE'])

  const checksum = new Checksum()
  const count = await layout.readOutcomes(redis, group, (index, kind, value) => {
    if (kind === SUCCEEDED) checksum.add(index, value)
  })
  asked.same('outcomes', [count, checksum.sum], [SIZE, expectedSum(inputs)])
  await redis.flushall()
  return asked.count
}

/** Puts each key that is there in turn into the wrong type and calls each script: it may refuse or work, but not fail half way. */
async function checkWrongTypes(redis: Redis, layout: Layout): Promise<number> {
  const asked = new Asked(layout.name)
  const inputs = makeInputs(SIZE, BYTES)
  const group = await open(redis, layout)
  await flush(redis, [layout.step(group, inputs, 0, 200)])
  const [first, , third] = await flush(redis, [
    layout.acquire('s1', 'a', 'n1', BATCH),
    layout.settle('s1', []),
    layout.acquire('s1', 'b', 'n2', BATCH / 2),
  ])
  const [held, last] = [layout.grants(first), layout.grants(third)]
  await flush(redis, [
    layout.settle('s1', last.map(done)),
    ['XADD', INBOX, '*', 'a', 'b'],
    ['RPUSH', `${TAG}:q:work:bell`, '1'],
  ])
  const calls: Readonly<Record<string, Call>> = {
    step: layout.step(group, inputs, 200, SIZE),
    acquire: layout.acquire('s1', 'c', 'n3', BATCH),
    settle: layout.settle('s1', held.map(done)),
    // the settle that releases: as if nothing else were left
    release: layout.settle('s1', held.map(done)),
  }
  const keys = (await redis.keys('*')).sort()
  const dumps = new Map<string, Buffer>()
  for (const key of keys) dumps.set(key, await redis.dumpBuffer(key))
  for (const key of keys) {
    const wrong = (await redis.type(key)) === 'hash' ? ['SET', key, 'not a number'] : ['HSET', key, 'field', 'value']
    for (const [what, call] of Object.entries(calls)) {
      await redis.flushall()
      for (const [other, dump] of dumps) await redis.restore(other, 0, dump)
      if (what === 'release') await redis.hset(`${TAG}:b:${group.gid}`, 'left', BATCH)
      await redis.call(wrong[0] as string, ...wrong.slice(1)).catch(() => undefined)
      if ((await redis.type(key)) !== (wrong[0] === 'SET' ? 'string' : 'hash')) {
        await redis.del(key)
        await redis.call(wrong[0] as string, ...wrong.slice(1))
      }
      const before = String(await redis.call('DEBUG', 'DIGEST'))
      const failed = await flush(redis, [call]).then(
        () => false,
        () => true,
      )
      const after = String(await redis.call('DEBUG', 'DIGEST'))
      if (failed) asked.same(`what a failed ${what} wrote with ${key} of the wrong type`, after, before)
    }
  }
  await redis.flushall()
  return asked.count
}

async function open(redis: Redis, layout: Layout): Promise<Group> {
  await redis.flushall()
  await flush(redis, [...layout.openRun(RUN, TOKEN), ['ZADD', `${TAG}:w`, 1, 's1', 1, 's2']])
  return { run: RUN, token: TOKEN, gid: `${RUN}/0`, size: SIZE, inbox: INBOX }
}

const counted = (grants: readonly Grant[]): number => grants.reduce((sum, { count }) => sum + count, 0)

const done = (grant: Grant): { readonly grant: Grant; readonly results: readonly Uint8Array[] } => ({
  grant,
  results: Array.from({ length: grant.count }, (_, i) => handle(grant.input(i))),
})

/** A grant's methods are not copied by spreading. */
const copyOf = (grant: Grant): Grant => ({
  gid: grant.gid,
  token: grant.token,
  count: grant.count,
  from: grant.from,
  indexes: grant.indexes,
  input: (position) => grant.input(position),
})

class Asked {
  count = 0
  readonly #layout: string

  constructor(layout: string) {
    this.#layout = layout
  }

  same(what: string, got: unknown, expected: unknown): void {
    this.count += 1
    if (JSON.stringify(got) !== JSON.stringify(expected))
      throw new Error(`${this.#layout}: ${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`)
  }
}
