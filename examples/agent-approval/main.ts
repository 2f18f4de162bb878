/**
 * Runs the agent of agent.ts, shows what it asks, and sends the answer: `--answer yes` or `--answer no`, else from the terminal. With `--redis-url` the
 * question can also be answered from another terminal, and the agent waits for it without this program.
 */
import { createInterface } from 'node:readline/promises'
import { connect, type RunWait } from 'graflow'
import { readFlags } from '../support/flags.js'
import { runProgram } from '../support/program.js'
import { agent } from './agent.js'

async function main(words: readonly string[], signal: AbortSignal): Promise<number> {
  const read = readFlags(words, { answer: 'text', 'redis-url': 'text' } as const)
  if (read.problem !== undefined) {
    process.stderr.write(`agent-approval: ${read.problem}: [QUESTION] [--answer yes|no] [--redis-url URL]\n`)
    return 2
  }
  const { answer, 'redis-url': url } = read.flags
  await using graflow = await (url === undefined ? connect({ logLevel: 'warn' }) : connect(url, { logLevel: 'warn' }))
  const question = read.others.join(' ') || 'My order 7 is broken. Can I have my money back?'
  const run = await graflow.start(agent, { question, seen: [] }, { signal })
  const asked = await Promise.race([run.result().then(() => undefined), nextQuestion(() => graflow.waits.of(run.id))])
  if (asked !== undefined) {
    process.stdout.write(`run ${run.id} is ${(await run.status()).state}: ${asked.prompt?.title ?? ''}\n`)
    const said = answer ?? (await ask(asked, signal))
    await run.signal('approve', { ok: said === 'yes', by: 'you' })
  }
  process.stdout.write(`${await run.result()}\n`)
  return 0
}

/** What the run asks, once it does. */
async function nextQuestion(waits: () => Promise<readonly RunWait[]>): Promise<RunWait> {
  for (;;) {
    const wait = (await waits()).find(({ why }) => why === 'signal')
    if (wait !== undefined) return wait
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function ask({ prompt }: RunWait, signal: AbortSignal): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return await terminal.question(`${(prompt?.choices ?? []).join(' or ')}? `, { signal })
  } finally {
    terminal.close()
  }
}

await runProgram('agent-approval', main)
