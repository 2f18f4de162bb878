/** Sorts numbers by divide and conquer, on worker processes if there is a Redis. `--count N`, `--workers N` (0: in this process), `--json`. */
import { join } from 'node:path'
import { openEngine } from '../support/engine.js'
import { readFlags } from '../support/flags.js'
import { runProgram } from '../support/program.js'
import { sort } from './tasks.js'

async function main(words: readonly string[], signal: AbortSignal): Promise<number> {
  const read = readFlags(words, { count: 'number', workers: 'number', json: 'switch' } as const)
  if (read.problem !== undefined || read.others.length > 0) {
    process.stderr.write(`divide: ${read.problem ?? 'it takes no words'}: [--count 8000] [--workers N] [--json]\n`)
    return 2
  }
  const { count = 8_000, workers, json } = read.flags
  // A branch that waits for its fork takes no slot: one at a time is enough.
  const tasks = join(import.meta.dirname, 'tasks.ts')
  await using engine = await openEngine({ workers, tasks, maxConcurrentTasks: 1, signal })
  const { numbers, forks } = await engine.graflow.run(sort, shuffled(count), { signal })
  const isSorted = numbers.length === count && numbers.every((n, i) => n === i)
  if (!isSorted) throw new Error('the numbers are not sorted')
  process.stdout.write(
    json
      ? `${JSON.stringify({ count, forks, engine: engine.kind })}\n`
      : `${count} numbers sorted with ${forks} forks, ${engine.description}\n`,
  )
  return 0
}

/** The numbers below a limit, in an order that looks random. */
function shuffled(count: number): number[] {
  const numbers = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1, seed = 1; i > 0; i -= 1) {
    seed = (seed * 48_271) % 2_147_483_647
    const k = seed % (i + 1)
    ;[numbers[i], numbers[k]] = [numbers[k] ?? 0, numbers[i] ?? 0]
  }
  return numbers
}

await runProgram('divide', main)
