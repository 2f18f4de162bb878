/** `graflow exporter`: what worker/exporter.ts serves, from the command line. What is in it is tested in test/worker/exporter.test.ts. */
import { command } from '../support/command.js'
import { useStage } from '../support/redis-stage.js'
import { freePort } from '../support/redis-server.js'
import { until } from '../support/waits.js'

const open = useStage()

describe('graflow exporter', () => {
  it('serves metrics, health and autoscaling with the connection flags of a worker, until it is told to end', async () => {
    const stage = await open()
    const address = `127.0.0.1:${await freePort()}`
    const [host = '', port = ''] = address.split(':')
    const flags = ['--redis-url', stage.server.url, '--redis-key-prefix', stage.prefix, '--log-level', 'silent']
    const own = ['--metrics-host', host, '--metrics-port', port, '--api-key', 'k3y-k3y-k3y']
    const told = new AbortController()
    const ended = command(['exporter', ...flags, ...own], {}, { signal: told.signal })
    const get = (path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
      fetch(`http://${address}${path}`, { headers })
    await until(async () => (await get('/readyz').catch(() => undefined))?.ok === true, 'its readiness')
    expect(await (await get('/metrics')).text()).toContain(`graflow_queue_depth{key_prefix="${stage.prefix}"`)
    expect((await get('/api/v1/autoscale?queue=default')).status).toBe(401)
    const asked = await get('/api/v1/autoscale?queue=default', { 'x-api-key': 'k3y-k3y-k3y' })
    expect(await asked.json()).toMatchObject({ queue: 'default', backlog: 0, depth: 0 })
    told.abort()
    expect(await ended).toEqual({ code: 0, out: '', err: '' })
  })

  it('says that Redis is not there, with exit code 1, and what is wrong with a key, with exit code 2', async () => {
    const argv = ['exporter', '--metrics-port', '0', '--log-level', 'silent', '--redis-port', '1']
    expect(await command(argv)).toMatchObject({ code: 1, err: expect.stringContaining('graflow exporter: ') })
    const { code, err } = await command([...argv, '--api-key', 'short'])
    expect([code, err]).toEqual([2, expect.stringMatching(/--api-key: expected 8 to 512 .*not shown/)])
  })
})
