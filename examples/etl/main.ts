/** Moves orders into a file, on worker processes if there is a Redis. `--pages N`, `--workers N` (0: in this process), `--out FILE`. */
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { openEngine } from '../support/engine.js'
import { readFlags } from '../support/flags.js'
import { runProgram } from '../support/program.js'
import { etl } from './tasks.js'

async function main(words: readonly string[], signal: AbortSignal): Promise<number> {
  const read = readFlags(words, { pages: 'number', workers: 'number', out: 'text' } as const)
  if (read.problem !== undefined || read.others.length > 0) {
    process.stderr.write(`etl: ${read.problem ?? 'it takes no words'}: [--pages 20] [--workers N] [--out FILE]\n`)
    return 2
  }
  const { pages = 20, workers, out = join(tmpdir(), 'graflow-orders.jsonl') } = read.flags
  const file = resolve(out)
  const tasks = join(import.meta.dirname, 'tasks.ts')
  await using engine = await openEngine({ workers, tasks, maxConcurrentTasks: 8, signal })
  process.stderr.write(`${engine.description}\n`)
  const { loaded, rejected, cents } = await engine.graflow.run(etl, { pages, file }, { signal })
  const lines = (await readFile(file, 'utf8')).split('\n').length - 1
  if (lines !== loaded) throw new Error(`expected ${loaded} orders in ${file}, got ${lines}`)
  process.stdout.write(`${JSON.stringify({ loaded, rejected, cents })}\n`)
  return 0
}

await runProgram('etl', main)
