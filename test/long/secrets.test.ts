/** Nothing of an address is shown but host, port and database: a marked secret in every place that an address has, in all that is said. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { connect, each, type EventName, type Graflow, task } from 'graflow'
import { Worker } from 'graflow/worker'
import { EVENTS } from '../../lib/events.js'
import { failureOf } from '../support/captured-errors.js'
import { compiled } from '../support/compiled.js'
import { useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'

const MARK = 'qZ7x'
const open = useStage()

/** All that a person or a collector could see of an error. */
const allOf = (error: unknown): string =>
  [String(error), inspect(error, { depth: Infinity, showHidden: true }), JSON.stringify(error)].join('\n')

const HOST = '127.0.0.1:9' // nobody listens there
const PLACES = [
  ...['#', '?', '@', '/', '%', ' ', ':', '\\', '[', '"', '&', '='].flatMap((sign) => [
    `redis://:a${sign}${MARK}@${HOST}`,
    `redis://:${MARK}${sign}a@${HOST}/0`,
  ]),
  `redis://:p@ss#${MARK}@db.example:6379`,
  `redis://:x@y?${MARK}@${HOST}/0`,
  `redis://user:a@b#${MARK}@${HOST}`,
  `redis://${MARK}@${HOST}`,
  `redis://${MARK}:pw@${HOST}`,
  `redis://user:${MARK}@${HOST}`,
  `redis://user:${MARK}@${HOST}/zero`,
  `redis://user:${MARK}@host:99999`,
  `redis://user:${MARK}@`,
  `redis://user:${MARK}`,
  `redis://host/${MARK}`,
  `redis://host?${MARK}`,
  `redis://host?db=${MARK}`,
  `redis://host?password=${MARK}`,
  `redis://host#${MARK}`,
  `http://user:${MARK}@${HOST}`,
  `user:${MARK}@${HOST}`,
  MARK,
  `rediss://user:${MARK}@${HOST}`,
  `unix://user:${MARK}@/nowhere/redis.sock`,
  `unix://:a/${MARK}@/nowhere/redis.sock`,
  `unix:///nowhere/redis.sock?db=${MARK}`,
  `unix:///${MARK}@/redis.sock`,
]

describe('a secret in an address', () => {
  // Together: a server that does not answer is waited for some seconds.
  it('is not shown when the address cannot be used', async () => {
    const start = async (redisUrl: string): Promise<void> =>
      new Worker({ redisUrl, tasks: [task('t', () => 1)], logLevel: 'silent' }).start()
    const said = await Promise.all(
      PLACES.map(async (address) => {
        const started = [connect(address, { logLevel: 'silent' }), start(address)]
        return { address, said: (await Promise.all(started.map(failureOf))).map(allOf).join('\n') }
      }),
    )
    expect(said.filter((one) => one.said.includes(MARK))).toEqual([])
  })

  it('is not shown of what is no address, or is given in the wrong place', async () => {
    const address = `redis://user:${MARK}@${HOST}`
    const tasks = [task('t', () => 1)]
    const calls: (() => unknown)[] = [
      () => connect(new URL(address) as never),
      () => connect([address] as never),
      () => connect({ [address]: 1 } as never),
      () => connect({ url: address } as never),
      () => connect('redis://127.0.0.1:9', { keyPrefix: address }),
      () => connect('memory:', { logLevel: address as never }),
      () => new Worker({ redisUrl: { url: address } as never, tasks }).start(),
      () => new Worker({ redisUrl: [address] as never, tasks }).start(),
      () => new Worker({ redisHost: address, tasks }).start(),
      () => new Worker({ redisPort: address as never, tasks }).start(),
      () => new Worker({ queues: [address], tasks }).start(),
      () => new Worker({ [address]: 1, tasks } as never).start(),
    ]
    for (const call of calls) {
      const met = await Promise.resolve()
        .then(call)
        .catch((error: unknown) => error)
      if (met instanceof Error) expect(allOf(met)).not.toContain(MARK)
      else await (met as Graflow).close()
    }
  })

  it('is in no event, log, metric or error of what is connected, nor when it is refused', async () => {
    const stage = await open({ password: MARK })
    const url = `redis://default:${MARK}@127.0.0.1:${stage.server.port}/3`
    const seen: string[] = []
    const watch = (events: Graflow['events']): void => {
      for (const name of Object.keys(EVENTS) as EventName[])
        events.subscribe(name, (event) => seen.push(inspect(event, { depth: Infinity })))
    }
    const work = task('work', (n: number) => n)
    const away = task('away', { queue: 'nobodys' }, (n: number) => n)
    const client = await connect(url, { keyPrefix: stage.prefix, logLevel: 'silent' })
    watch(client.events)
    const worker = new Worker({
      ...{ redisUrl: url, keyPrefix: stage.prefix, tasks: [work], metricsPort: 0, logLevel: 'silent' as const },
    })
    watch(worker.events)
    await worker.start()
    stage.onEnd(async () => {
      await client.close()
      await worker.stop(100)
    })
    await client.run(each(work), [1, 2])
    const waiting = await client.start(each(away), [1])
    await until(() => seen.some((text) => text.includes('waiting for away')), 'that nobody serves it')
    expect(seen.find((text) => text.includes('waiting for away'))).toContain('<user:password>@127.0.0.1')
    await waiting.cancel()
    const port = worker.metricsPort ?? 0
    for (const path of ['metrics', 'health', 'ready'])
      seen.push(await (await fetch(`http://127.0.0.1:${port}/${path}`)).text())
    const wrong = url.replace(MARK, `${MARK}-wrong`)
    seen.push(allOf(await failureOf(connect(wrong, { logLevel: 'silent' }))))
    expect(seen.at(-1)).toContain('WRONGPASS')
    expect(seen.join('\n')).not.toContain(MARK)
  }, 30_000)

  it('is not printed by the command, whatever it is told', () => {
    const folder = mkdtempSync(join(tmpdir(), 'graflow-secrets-'))
    const address = `redis://user:${MARK}@${HOST}`
    const raw = `redis://:p@ss#${MARK}@${HOST}`
    const config = join(folder, 'config.json')
    writeFileSync(config, `{ "redisUrl": ${address} }`)
    const known = join(folder, 'known.json')
    writeFileSync(known, JSON.stringify({ [address]: 1 }))
    const bin = compiled(join(__dirname, '../../bin/graflow-worker.ts'))
    const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}): string => {
      const { stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
        env: { ...process.env, ...env },
        encoding: 'utf8',
      })
      return stdout + stderr
    }
    const task = ['--tasks', compiled(join(__dirname, '../support/ledger.ts'))]
    try {
      const said = [
        run([...task, '--redis-url', raw]),
        run([address]),
        run([`--${address}`]),
        run(['--config', config]),
        run(['--config', known]),
        run([...task, '--redis-host', address]),
        run(task, { REDIS_URL: raw }),
      ]
      for (const text of said) {
        expect(text).toMatch(/graflow-worker|expected|address/)
        expect(text).not.toContain(MARK)
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }, 60_000)
})
