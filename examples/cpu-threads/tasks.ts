/**
 * Counting primes, which keeps a processor busy. A thread loads this module by its path, so it contains only tasks:
 * `graflow-worker --tasks examples/cpu-threads/tasks.ts --threads 4`.
 */
import { isMainThread } from 'node:worker_threads'
import { each, seq, task, workflow } from 'graflow'

/** Numbers from `from` on, below `to`. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** What was counted, and where. */
export interface Count {
  readonly primes: number
  readonly isInThread: boolean
}

/** The numbers below a limit, in so many parts. */
export const split = task('split', ({ below, parts }: { below: number; parts: number }): readonly Range[] =>
  Array.from({ length: parts }, (_, i) => ({
    from: Math.floor((below * i) / parts),
    to: Math.floor((below * (i + 1)) / parts),
  })),
)

/** Runs in a thread, so that the event loop stays free for timers, signals and the network. */
export const primes = task('primes', { isolation: 'thread', timeoutMs: 60_000 }, ({ from, to }: Range): Count => {
  let found = 0
  for (let n = from; n < to; n += 1) if (isPrime(n)) found += 1
  return { primes: found, isInThread: !isMainThread }
})

export const sum = task('sum', (counts: readonly Count[]) => ({
  primes: counts.reduce((total, { primes }) => total + primes, 0),
  inThreads: counts.filter(({ isInThread }) => isInThread).length,
}))

/** `await graflow.run(countPrimes, { below: 1_000_000, parts: 16 })` → { primes: 78498, inThreads: 16 } */
export const countPrimes = workflow('count-primes', seq(split, each(primes), sum))

function isPrime(n: number): boolean {
  if (n < 4) return n > 1
  if (n % 2 === 0) return false
  for (let divisor = 3; divisor * divisor <= n; divisor += 2) if (n % divisor === 0) return false
  return true
}
