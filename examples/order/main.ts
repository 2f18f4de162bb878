/**
 * Places an order, pays it, and takes it up again, each from a process of its own: `start ID`, `pay ID RECEIPT`, `resume ID`, `show ID`. Kill the process
 * that started it at any time: `resume` goes on behind what is finished. It needs a Redis, `--redis-url`.
 */
import { connect, type Graflow } from 'graflow'
import { readFlags } from '../support/flags.js'
import { runProgram } from '../support/program.js'
import { order } from './order.js'

const USAGE =
  'start ID | pay ID RECEIPT | resume ID | show ID [--redis-url redis://localhost:6379] [--key-prefix order]'

async function main(words: readonly string[]): Promise<number> {
  const read = readFlags(words, { 'redis-url': 'text', 'key-prefix': 'text' } as const)
  const [command, id, receipt = ''] = read.problem === undefined ? read.others : []
  const act = Object.hasOwn(COMMANDS, command ?? '') ? COMMANDS[command as keyof typeof COMMANDS] : undefined
  if (read.problem !== undefined || act === undefined || id === undefined) {
    process.stderr.write(`order: ${read.problem ?? 'it takes a command and the id of an order'}: ${USAGE}\n`)
    return 2
  }
  const { 'redis-url': url = 'redis://localhost:6379', 'key-prefix': keyPrefix = 'order' } = read.flags
  await using graflow = await connect(url, { keyPrefix, logLevel: 'warn' })
  process.stdout.write(`${await act(graflow, id, receipt)}\n`)
  return 0
}

const COMMANDS = {
  start: async (graflow: Graflow, id: string) => {
    const run = await graflow.start(order, { id, euros: 42 }, { id })
    process.stdout.write(`order ${id} is placed\n`)
    return run.result()
  },
  pay: async (graflow: Graflow, id: string, receipt: string) => {
    const run = await graflow.attach(id, order)
    return (await run.signal('paid', { receipt })) ? `order ${id} is paid` : `order ${id} takes no payment any more`
  },
  resume: async (graflow: Graflow, id: string) => (await graflow.resume(id, order)).result(),
  show: async (graflow: Graflow, id: string) => {
    const { state } = await (await graflow.attach(id, order)).status()
    const waits = await graflow.waits.of(id)
    return [
      `order ${id} is ${state}`,
      ...waits.map(({ path, why, prompt }) => `  ${why} at ${path}: ${prompt?.title ?? ''}`),
    ].join('\n')
  },
}

await runProgram('order', main)
