/** The commands of docs/guides/control-plane.md and docs/http-api.md, run as they stand there; `…` in what they print is any text. */
import { spawnSync, spawn } from 'node:child_process'
import { connect, each, seq, task, waitFor, workflow, type Graflow } from 'graflow'
import { readDoc } from '../repo-rules/doc-table.js'

const KEY = 'key-of-the-guide'
const sum = task('sum', (all: readonly number[]) => all.reduce((a, b) => a + b, 0))
const total = workflow('total', seq(each(task('same', (n: number) => n)), sum))
const decide = task('decide', (isApproved: boolean) => {
  if (!isApproved) throw new Error('not approved')
  return 'sent'
})
const order = workflow(
  'order',
  seq(
    task('take', (n: number) => n),
    waitFor('approved'),
    decide as never,
  ),
)

const stepsOf = (page: string) =>
  [...readDoc(page).matchAll(/^```console\n([^]*?)^```/gm)].flatMap(([, block = '']) =>
    [...block.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm)].map(([, command = '', said = '']) => ({
      command,
      said: said.trim(),
    })),
  )

const hasCurl = spawnSync('curl', ['--version']).status === 0
const itWithCurl = hasCurl ? it : it.skip

describe('the guide of the control plane and the page of its API', () => {
  let graflow: Graflow
  beforeAll(async () => {
    graflow = await connect({ tasks: [total, order], logLevel: 'silent', serve: { port: 0, apiKeys: [KEY] } })
  })
  afterAll(() => graflow.close())

  const run = (command: string): Promise<string> =>
    new Promise((resolve) => {
      const url = `http://127.0.0.1:${graflow.server?.port}`
      const child = spawn('bash', ['-c', command], { env: { ...process.env, GRAFLOW: url, KEY } })
      let text = ''
      child.stdout.on('data', (data: Buffer) => (text += data.toString()))
      child.on('close', () => resolve(text.trim()))
    })

  itWithCurl.each([
    ['guides/control-plane.md', 10],
    ['http-api.md', 4],
  ])('docs/%s shows what curl does and prints', async (page, least) => {
    const steps = stepsOf(page)
    expect(steps.length).toBeGreaterThan(least)
    for (const { command, said } of steps) {
      const printed = await run(command)
      const pattern = said
        .split('…')
        .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
        .join('[^]*')
      expect([command, printed]).toEqual([command, expect.stringMatching(new RegExp(`^${pattern}$`))])
    }
  })
})
