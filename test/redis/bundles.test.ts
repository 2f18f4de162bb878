/** The package bundled into one file, as people do who ship one: it speaks to a real Redis from a folder in which nothing else is. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from '../support/processes.js'
import { useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'

const open = useStage()
const root = join(__dirname, '../..')

const program = `
import { connect, each, task } from 'graflow'
import { Worker } from 'graflow/worker'
const options = { keyPrefix: process.env.PREFIX, logLevel: 'silent' }
const double = task('double', (n: number) => n * 2)
async function main() {
  const worker = new Worker({ ...options, redisUrl: process.env.REDIS, tasks: [double] })
  await worker.start()
  const graflow = await connect(process.env.REDIS as string, options)
  console.log(JSON.stringify(await graflow.run(each(double), [1, 2, 3])))
  await new Promise((resolve) => { process.once('SIGUSR2', resolve); setTimeout(resolve, 15_000).unref() })
  console.log(JSON.stringify(await graflow.run(each(double), [4])))
  await graflow.close()
  await worker.stop(100)
}
void main()
`

describe.each(['esm', 'cjs'])('bundled by esbuild as %s', (format) => {
  it('runs on Redis, and its sessions are renewed', async () => {
    const stage = await open()
    const folder = mkdtempSync(join(tmpdir(), 'graflow-bundle-'))
    try {
      const source = join(root, '.cache', `bundle-${format}-${process.pid}.ts`)
      mkdirSync(join(root, '.cache'), { recursive: true })
      writeFileSync(source, program)
      const file = join(folder, format === 'esm' ? 'app.mjs' : 'app.cjs')
      // CommonJS packages ask for Node's modules by require, which an ES module has only where it is made
      const banner = `import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);`
      const built = spawnSync(
        process.execPath,
        [
          join(root, 'node_modules/esbuild/bin/esbuild'),
          ...[source, '--bundle', '--platform=node', `--format=${format}`, `--outfile=${file}`],
          ...(format === 'esm' ? [`--banner:js=${banner}`] : []),
        ],
        { encoding: 'utf8', cwd: root },
      )
      rmSync(source)
      expect([built.status, built.stderr]).toEqual([0, expect.not.stringContaining('error')])
      const env = { REDIS: stage.server.url, PREFIX: stage.prefix }
      const app = new Child({ name: `app as ${format}`, args: [file], cwd: folder, env })
      await app.said(/\[2,4,6\]/)
      const expiries = async (): Promise<number[]> => {
        const listed = await stage.redis.zrange(stage.keys.sessions, 0, -1, 'WITHSCORES')
        return listed.filter((_, i) => i % 2 === 1).map(Number)
      }
      const first = Math.max(...(await expiries()))
      await until(async () => Math.min(...(await expiries())) > first, 'both sessions to be renewed')
      app.signal('SIGUSR2')
      await app.closed
      expect(app.stderr).toBe('')
      expect(app.stdout.trim().split('\n')).toEqual(['[2,4,6]', '[8]'])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }, 40_000)
})
