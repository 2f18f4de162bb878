/** Runs a benchmark as people do, in a process of its own, and gives what it printed. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'

export interface Ended {
  readonly code: number | null
  /** Both outputs, as they came. */
  readonly printed: string
}

/** @param script below the project's root, such as `bench/run.ts` */
export const runBench = (script: string, options: readonly string[]): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', script, ...options], { cwd: join(__dirname, '../..') })
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (printed += text))
    child.on('error', reject)
    child.on('close', (code) => {
      resolve({ code, printed })
    })
  })
