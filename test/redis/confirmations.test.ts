/**
 * How a Redis is asked whether its disk has what was written. WAITAOF came with Redis 7.2: where the server here is older, a relay makes it say so of
 * itself, and answers in place of its error for an unknown command, which names the arguments.
 */
import { connect, GraflowError, task, type Graflow } from 'graflow'
import { startRelay } from '../support/relay.js'
import { privateRedis } from '../support/shared-redis.js'

const double = task('double', (n: number) => n * 2)
const UNKNOWN = /-ERR unknown command 'WAITAOF', with args beginning with: ([^\r]*)\r\n/g

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function clientOf(url: string): Promise<Graflow> {
  const client = await connect(url, { logLevel: 'silent' })
  ends.push(() => client.close())
  return client
}

/** A Redis that knows WAITAOF and answers it so; `asked` has the arguments, where it is the relay that answers. */
async function answering(answer: string) {
  const server = await privateRedis({ persistence: 'everysec' })
  const asked: string[] = []
  const change = (bytes: Buffer): Buffer =>
    Buffer.from(
      bytes
        .toString('latin1')
        .replace(/redis_version:7\.0/, 'redis_version:7.2')
        .replaceAll(UNKNOWN, (_, args: string) => {
          asked.push(args.trim())
          return answer
        }),
      'latin1',
    )
  const relay = await startRelay({ port: server.port, change })
  ends.push(() => relay.stop())
  return { client: await clientOf(`redis://127.0.0.1:${relay.port}`), asked }
}

describe('durability: fsync', () => {
  it('needs no question where Redis writes to its disk before it answers', async () => {
    const client = await clientOf((await privateRedis({ persistence: 'always' })).url)
    expect(await client.run(double, 2, { durability: 'fsync' })).toBe(4)
  })

  it('asks for one local fsync, within two seconds, and goes on with it', async () => {
    const { client, asked } = await answering('*2\r\n:1\r\n:0\r\n')
    expect(await client.run(double, 2, { durability: 'fsync' })).toBe(4)
    expect(new Set(asked)).toEqual(new Set(asked.length === 0 ? [] : ["'1' '0' '2000'"]))
  })

  it('starts nothing where the disk has not confirmed it, or Redis refuses the question', async () => {
    const late = await answering('*2\r\n:0\r\n:0\r\n')
    const refuses = await answering('-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n')
    const told = async ({ client, asked }: typeof late) => {
      const outcome = await client
        .start(double, 1, { durability: 'fsync', id: 'none' })
        .catch((error: unknown) => error)
      if (asked.length === 0) return 'a server that knows WAITAOF'
      expect(await client.runs.get('none')).toBeUndefined()
      return outcome instanceof GraflowError ? `${outcome.code} ${outcome.message}` : 'a run'
    }
    const first = await told(late)
    if (first === 'a server that knows WAITAOF') return
    expect(first).toBe('NOT_DURABLE the run was not started: its disk has not confirmed it within 2000 ms; try again')
    expect(await told(refuses)).toMatch(/^NOT_AVAILABLE .* appendonly is disabled/)
  })

  it('is refused at the start, saying what would do, where Redis can give it neither way', async () => {
    const client = await clientOf((await privateRedis({ persistence: 'everysec' })).url)
    const started = client.run(double, 2, { durability: 'fsync' })
    const outcome = await started.catch((error: unknown) => (error as Error).message)
    if (outcome === 4) return // this Redis is newer
    expect(outcome).toMatch(/expected Redis 7\.2 or newer, or appendfsync always, got 7\.0\.\d+ with everysec at /)
  })
})
