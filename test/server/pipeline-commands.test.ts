/** The commands of docs/guides/pipeline-groups.md, run by a shell, against a control plane and two workers. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { connect, task } from 'graflow'
import { workerHere } from '../support/local-worker.js'
import { useStage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { readDoc } from '../repo-rules/doc-table.js'
import { until } from '../support/waits.js'

const stage = useStage()
const run = promisify(execFile)

const tasks = [
  task('enrich', (event: object) => ({ ...event, enriched: true })),
  task('store', (event: object) => ({ ...event, stored: true })),
  task('average', (numbers: readonly number[]) => numbers.reduce((sum, n) => sum + n, 0) / numbers.length),
]

interface Command {
  readonly command: string
  /** What stands behind `# ` below it; `…` is anything. */
  readonly prints: string
}

/** Commands of the page, in its order. */
function commandsOf(page: string): readonly Command[] {
  const blocks = [...page.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = '']) => block)
  return blocks.flatMap((block) =>
    [...block.matchAll(/^(curl [^]*?)\n# (.*)$/gm)].map(([, command = '', prints = '']) => ({ command, prints })),
  )
}

const fits = (prints: string): RegExp =>
  new RegExp(
    `^${prints
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('[^]*')}\\n?$`,
  )

describe('the commands of docs/guides/pipeline-groups.md', () => {
  it('print what stands below them, and JSON-RPC has the same', async () => {
    const own = await stage(await sharedRedis())
    await Promise.all(['worker-0', 'worker-1'].map((id) => workerHere(own, id, tasks)))
    const graflow = await connect(own.server.url, {
      ...{ keyPrefix: own.prefix, logLevel: 'silent', serve: { port: 0, apiKeys: ['admin-key'] } },
    })
    own.onEnd(() => graflow.close())
    const here = graflow.server?.url.replace(/\/$/, '') ?? ''
    const commands = commandsOf(readDoc('guides/pipeline-groups.md'))
    expect(commands).toHaveLength(7)
    let group = ''
    for (const { command, prints } of commands) {
      const script = command.replaceAll('http://localhost:9100', here)
      const { stdout } = await run('sh', ['-c', script], { env: { ...process.env, GROUP_ID: group } })
      expect(stdout).toMatch(fits(prints))
      if (group === '') group = (JSON.parse(stdout) as { readonly id: string }).id
    }
    const methods = [
      ['cluster.deploy', { name: 'rpc', pipelines: [{ name: 'p', source: 'average' }] }],
      ['cluster.pipelineGroups', { limit: 5 }],
    ] as const
    const calls = methods.map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params }))
    const headers = { 'content-type': 'application/json', 'x-api-key': 'admin-key' }
    const answers = await (await fetch(`${here}/rpc`, { method: 'POST', headers, body: JSON.stringify(calls) })).json()
    const { id } = (answers as readonly { readonly result: { readonly id: string } }[])[0]?.result ?? {}
    const inject = { jsonrpc: '2.0', id: 1, method: 'cluster.inject', params: { id, eventType: 'E', fields: [4, 6] } }
    const injected = await fetch(`${here}/rpc`, { method: 'POST', headers, body: JSON.stringify(inject) })
    expect(await injected.json()).toMatchObject({ result: { routedTo: 'p', result: 5 } })
    await until(async () => (await graflow.workers.list()).items.length === 1, 'worker-1 to have left')
  })
})
