/** `graflow serve`: the control plane from the command line. What it answers is tested in test/server. */
import { command } from '../support/command.js'
import { freePort } from '../support/redis-server.js'
import { useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'

const open = useStage()

describe('graflow serve', () => {
  it('serves the API and the dashboard below the path that a proxy shows it at, and without it, until it is told to end', async () => {
    const stage = await open()
    const port = await freePort()
    const flags = ['--redis-url', stage.server.url, '--redis-key-prefix', stage.prefix, '--log-level', 'silent']
    const told = new AbortController()
    const argv = [
      'serve',
      ...flags,
      '--port',
      String(port),
      '--base-path',
      '/tools/graflow',
      '--api-key',
      'k3y-k3y-k3y',
    ]
    const ended = command(argv, {}, { signal: told.signal })
    const get = (path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'x-api-key': 'k3y-k3y-k3y', ...headers } })
    await until(async () => (await get('/readyz').catch(() => undefined))?.ok === true, 'its readiness')
    for (const base of ['', '/tools/graflow']) {
      expect(await (await get(`${base}/api/v1/queues`)).json()).toMatchObject({ items: expect.any(Array) })
      const document = (await (await get(`${base}/openapi.json`)).json()) as { servers: unknown }
      expect(document.servers).toEqual([{ url: '/tools/graflow' }])
      const page = await (await get(`${base}/runs`, { accept: 'text/html' })).text()
      const links = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link)
      expect(links.length).toBeGreaterThan(1)
      for (const link of links) expect(link).toMatch(/^(\/tools\/graflow\/|data:)/)
      const files = links.filter((link = '') => /\.\w+(\?|$)/.test(link) && link.startsWith('/'))
      expect(files.length).toBeGreaterThan(1)
      for (const file of files) expect((await get(file ?? '')).status).toBe(200)
    }
    expect((await get('/tools/graflowish/api/v1/queues')).status).toBe(404)
    told.abort()
    expect(await ended).toEqual({ code: 0, out: '', err: '' })
  })

  it('says what is wrong with a base path, with exit code 2', async () => {
    const { code, err } = await command(['serve', '--port', '0', '--base-path', 'graflow/'])
    expect([code, err]).toEqual([2, expect.stringMatching(/--base-path: expected .*graflow\//)])
  })
})
