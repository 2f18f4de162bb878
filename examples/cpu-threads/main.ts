/** Counts primes in threads of this process, then in its event loop, and compares what that does to a timer. `--below N` says up to where. */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { connect, declareTask, each, seq } from 'graflow'
import { readFlags } from '../support/flags.js'
import { runProgram } from '../support/program.js'
import { type Count, countPrimes, type Range, split, sum } from './tasks.js'

/** What a declaration says wins: the same task, where it would keep the event loop. */
const inline = seq(split, each(declareTask<Range, Count>('primes', { isolation: 'inline' })), sum)

async function main(words: readonly string[]): Promise<number> {
  const read = readFlags(words, { below: 'number', json: 'switch' } as const)
  if (read.problem !== undefined || read.others.length > 0) {
    process.stderr.write(`cpu-threads: ${read.problem ?? 'it takes no words'}: [--below 3000000] [--json]\n`)
    return 2
  }
  const { below = 3_000_000, json } = read.flags
  const input = { below, parts: 4 * availableParallelism() }
  await using graflow = await connect({ tasks: [join(import.meta.dirname, 'tasks.ts')], logLevel: 'warn' })
  const threads = await timed(() => graflow.run(countPrimes, input))
  const loop = await timed(() => graflow.run(inline, input))
  process.stdout.write(
    json
      ? `${JSON.stringify({ below, threads, loop })}\n`
      : `${threads.result.primes} primes below ${below}, in ${input.parts} parts\n` +
          `in threads:        ${shown(threads)}\nin the event loop: ${shown(loop)}\n`,
  )
  return 0
}

interface Timed<T> {
  readonly result: T
  readonly ms: number
  /** The longest time that a timer of this process had to wait. */
  readonly latestMs: number
}

async function timed<T>(work: () => Promise<T>): Promise<Timed<T>> {
  let latestMs = 0
  const startedAt = performance.now()
  let due = startedAt
  const timer = setInterval(() => {
    const now = performance.now()
    latestMs = Math.max(latestMs, now - due)
    due = now
  }, 1)
  try {
    const result = await work()
    return { result, ms: performance.now() - startedAt, latestMs: Math.max(latestMs, performance.now() - due) }
  } finally {
    clearInterval(timer)
  }
}

const shown = ({ ms, latestMs }: Timed<unknown>): string =>
  `${ms.toFixed(0)} ms; a timer of this process waited for ${latestMs.toFixed(0)} ms at most`

await runProgram('cpu-threads', main)
