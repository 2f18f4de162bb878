/** `graflow init && graflow dev`, from an empty folder in a real terminal: with a private Redis, and without any. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Child, endChildren, isAlive } from '../support/processes.js'
import { command } from '../support/command.js'
import { CTRL_C, Terminal, terminalProgram } from '../support/terminal.js'
import { until } from '../support/waits.js'

const program = join(__dirname, '../../dist/bin/graflow.js')
const graflow = `'${process.execPath}' '${program}'`

let folder: string
let terminal: Terminal | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'graflow-new-'))
})
afterEach(async () => {
  terminal?.end()
  terminal = undefined
  await endChildren()
  rmSync(folder, { recursive: true })
})

const open = (env: Readonly<Record<string, string>>): Terminal => {
  terminal = new Terminal(folder, { TERM: 'xterm', HOME: folder, ...env })
  return terminal
}
const PATH = process.env['PATH'] ?? ''
const tasks = (): string => join(folder, 'tasks.mjs')
const edit = (from: string, to: string): void => {
  writeFileSync(tasks(), readFileSync(tasks(), 'utf8').replace(from, to))
}

describe('graflow init', () => {
  it('writes a task module and the settings, and leaves files that are there', async () => {
    const first = await command(['init'], {}, { folder })
    expect([first.code, first.out]).toEqual([
      0,
      expect.stringMatching(/^wrote tasks\.mjs\nwrote graflow\.config\.json\nnext: npx graflow dev/),
    ])
    expect(JSON.parse(readFileSync(join(folder, 'graflow.config.json'), 'utf8')).tasks).toEqual(['./tasks.mjs'])
    writeFileSync(tasks(), 'mine')
    const second = await command(['init'], {}, { folder })
    expect([second.code, second.out]).toEqual([
      0,
      expect.stringMatching(/^kept tasks\.mjs, which was there\nkept graflow/),
    ])
    expect(readFileSync(tasks(), 'utf8')).toBe('mine')
  })

  it('writes TypeScript where the folder has a tsconfig.json, or when it is told to', async () => {
    expect((await command(['init', '--typescript'], {}, { folder })).out).toContain('wrote tasks.mts')
    expect(readFileSync(join(folder, 'tasks.mts'), 'utf8')).toContain('(count: number)')
    const drawn = new Child({ name: 'graph', args: [program, 'graph'], cwd: folder })
    await drawn.said(/^hello +workflow +list >> square\* >> sum$/m)
    const other = mkdtempSync(join(folder, 'typed-'))
    writeFileSync(join(other, 'tsconfig.json'), '{}')
    expect(JSON.parse((await command(['init', '--json'], {}, { folder: other })).out)).toEqual({
      files: [
        { name: 'tasks.mts', written: true },
        { name: 'graflow.config.json', written: true },
      ],
    })
  })
})

const inTerminal = terminalProgram === undefined ? describe.skip : describe
const why =
  terminalProgram === undefined ? ' (skipped: neither tmux nor script is installed)' : ` in ${terminalProgram}`

inTerminal(`graflow dev, from an empty folder${why}`, () => {
  it('starts a private Redis and workers, runs the example, and runs it anew when its module changes', async () => {
    const shell = open({ PATH })
    shell.type(`${graflow} init && ${graflow} dev --workers 1`)
    await shell.sees(/wrote tasks\.mjs/)
    await shell.sees(/Redis: a private (redis|valkey)-server \d+\.\S+ at unix:/)
    const socket = /unix:\/\/(\S+)/.exec(shell.output)?.[1] ?? ''
    expect(existsSync(socket)).toBe(true)
    await shell.sees(/dashboard: http:\/\/127\.0\.0\.1:\d+\//)
    const [url = ''] = /http:\/\/127\.0\.0\.1:\d+\//.exec(shell.output) ?? []
    expect(await (await fetch(url)).text()).toMatch(/^<!doctype html>/i)
    await shell.sees(/1 worker is ready/)
    await shell.sees(/1: 10 branches[^]*1: 10 succeeded[^]*\| 385/)
    await shell.sees(/waiting for a change/)
    edit('n * n', 'n * n * n')
    await shell.sees(/tasks\.mjs changed[^]*1 worker is ready[^]*\| 3025/)
    shell.type(CTRL_C)
    await shell.sees(/ending/)
    shell.type('echo code $?')
    await shell.sees(/code 0/)
    expect(existsSync(dirname(socket))).toBe(false)
  }, 60_000)

  it('runs the example in one process where there is no Redis, and waits for the end of a mistake', async () => {
    await command(['init'], {}, { folder })
    const shell = open({ PATH: join(folder, 'none') })
    shell.type(`${graflow} dev`)
    await shell.sees(/embedded: each run stays in one process, since no redis-server is on PATH \(Debian/)
    await shell.sees(/\| 385[^]*waiting for a change/)
    edit('n * n', 'n *')
    await shell.sees(
      /tasks\.mjs changed[^]*it throws while it is loaded[^]*tasks\.mjs:8\b[^]*the run ended with exit code 2; waiting for a change/,
    )
    edit('n *', 'n + n')
    await shell.sees(/tasks\.mjs changed[^]*\| 110/)
    shell.type(CTRL_C)
    await shell.sees(/ending/)
    shell.type(`${graflow} run --input 30`)
    await shell.sees(/running[^]*━[^]*completed/)
    await shell.sees(/930/)
    expect(shell.screen).toMatch(/completed {2}hello \S+ {2}\d+\.\d s\n +1 +━{20} +30\/30\n/)
  }, 60_000)
})

describe('graflow dev', () => {
  it('says why its dashboard is on another port than usual', async () => {
    const usual = createServer()
    // where another process has it, that is as good
    await new Promise<void>((resolve) => usual.once('error', () => resolve()).listen(9_100, '127.0.0.1', resolve))
    await command(['init'], {}, { folder })
    const dev = new Child({
      name: 'dev',
      args: [program, 'dev', '--workers', '1'],
      cwd: folder,
      env: { REDIS_URL: '' },
    })
    await dev.said(/dashboard: http:\/\/127\.0\.0\.1:\d+\/ \(another process has port 9100; --port takes one\)/)
    await dev.said(/\| 385[^]*waiting for a change/)
    expect(dev.output).not.toContain('leads now')
    await new Promise((resolve) => usual.close(resolve))
  }, 30_000)

  it('leaves no process and no folder behind when it is killed', async () => {
    await command(['init'], {}, { folder })
    writeFileSync(tasks(), `${readFileSync(tasks(), 'utf8')}\nconsole.log('loaded by', process.pid)\n`)
    const config = JSON.stringify({ tasks: ['./tasks.mjs'], metricsPort: 9464, exporter: {} })
    writeFileSync(join(folder, 'graflow.config.json'), config)
    const env = { GRAFLOW_REDIS_URL: '', REDIS_URL: '', REDIS_HOST: '', REDIS_PORT: '' }
    const dev = new Child({ name: 'dev', args: [program, 'dev', '--workers', '1'], cwd: folder, env })
    const [, socket = ''] = await dev.said(/at unix:\/\/(\S+) \(/)
    const [, pid] = await dev.said(/loaded by (\d+)/)
    await dev.said(/1 worker is ready/)
    expect([existsSync(socket), isAlive(Number(pid))]).toEqual([true, true])
    await dev.kill9()
    await until(() => !existsSync(dirname(socket)) && !isAlive(Number(pid)), 'the end of its children')
  }, 30_000)

  it('says so when there is nothing that it could do', async () => {
    const { code, err } = await command(['dev', 'x.mjs', '--embedded'], {}, { folder })
    expect([code, err]).toEqual([2, expect.stringContaining('name a flow with --run')])
  })
})
