/** `graflow top` in a real terminal, against a Redis on which a worker runs a flow. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { each, task, workflow } from 'graflow'
import { Worker } from 'graflow/worker'
import { Gate } from '../support/gate.js'
import { useStage } from '../support/redis-stage.js'
import { privateRedis } from '../support/shared-redis.js'
import { CTRL_C, Terminal, terminalProgram } from '../support/terminal.js'

const open = useStage()
const program = join(__dirname, '../../dist/bin/graflow.js')
const inTerminal = terminalProgram === undefined ? describe.skip : describe

inTerminal(`graflow top in ${terminalProgram ?? 'a terminal (skipped: neither tmux nor script is installed)'}`, () => {
  it('follows a run until it is over, and leaves the terminal as it was', async () => {
    const stage = await open()
    const gate = new Gate()
    const wait = task('wait', async (n: number) => {
      if (n > 2) await gate.pass()
      return n
    })
    const slow = workflow('slow', each(wait))
    const redisUrl = stage.server.url
    const worker = new Worker({ redisUrl, keyPrefix: stage.prefix, tasks: [slow], workerId: 'w1', logLevel: 'silent' })
    await worker.start()
    const run = await (await stage.client()).submit(slow, [1, 2, 3, 4], { id: 'seen' })
    const terminal = new Terminal(tmpdir(), { TERM: 'xterm', PATH: process.env['PATH'] ?? '' })
    try {
      terminal.type(`echo be''fore`)
      await terminal.sees(/before/)
      terminal.type(`'${process.execPath}' '${program}' top --redis-url ${redisUrl} --redis-key-prefix ${stage.prefix}`)
      await terminal.sees(/1 run not over.*1 worker/)
      await terminal.sees(/seen +running +slow +━━━━━╌╌╌╌╌ 2\/4/)
      await terminal.sees(/w1 +busy +/)
      gate.open()
      expect(await run.result()).toEqual([1, 2, 3, 4])
      await terminal.sees(/0 runs not over/)
      terminal.type(CTRL_C)
      await terminal.sees(/\u001b\[\?1049l/)
      terminal.type(`echo af''ter`)
      await terminal.sees(/after/)
      if (terminalProgram === 'tmux') expect(terminal.screen).toMatch(/before[^]*after/)
    } finally {
      terminal.end()
      gate.open()
      await worker.stop()
    }
  })

  it('says so while Redis is away, and ends then, too', async () => {
    const server = await privateRedis()
    const place = await open(server)
    const { prefix } = place
    await (await place.client()).submit(workflow('left', each(task('none', (n: number) => n))), [1], { id: 'kept' })
    const terminal = new Terminal(tmpdir(), { TERM: 'xterm', PATH: process.env['PATH'] ?? '' })
    try {
      terminal.type(`'${process.execPath}' '${program}' top --redis-url ${server.url} --redis-key-prefix ${prefix}`)
      await terminal.sees(/1 run not over, 1 branch ready, 0 in flight, no worker/)
      await server.stop()
      // what was seen last stays in view, and how old it is
      await terminal.sees(
        /no answer from Redis for \d[^\n]* s: looking again[^\n]*\n[^\n]*\n[^\n]*RUN[^]*?kept +pending/,
      )
      terminal.type('q')
      await terminal.sees(/\u001b\[\?1049l/)
      terminal.type(`echo en''ded`)
      await terminal.sees(/ended/)
    } finally {
      terminal.end()
    }
  })
})
