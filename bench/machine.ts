/** The machine that a benchmark ran on, without anything that names it. */
import { availableParallelism, cpus, totalmem } from 'node:os'

export interface Machine {
  readonly node: string
  readonly v8: string
  readonly platform: string
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
}

export const machine = (): Machine => ({
  node: process.versions.node,
  v8: process.versions.v8,
  platform: `${process.platform} ${process.arch}`,
  processor: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  memoryGiB: Math.round(totalmem() / 2 ** 30),
})

/** One line: day, machine and versions. */
export function machineLine({ machine, date }: { readonly machine: Machine; readonly date: string }): string {
  const { node, v8, platform, processor, cores, memoryGiB } = machine
  return `${date.slice(0, 10)}; Node.js ${node} (V8 ${v8}) on ${platform}; ${cores} cores of ${processor}, ${memoryGiB} GiB`
}
