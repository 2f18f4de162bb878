/** A process of graflow that `graflow dev` starts: its lines are passed on, it is ready when it says so, and it does not outlive us. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { preambleFor } from '../resolve-here.js'

export interface ChildOptions {
  /** The program beside this folder, such as `graflow-worker`. */
  readonly program: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly folder: string
  readonly onLine: (line: string) => void
}

/** How long it may take to end when it is asked to. */
const GRACE_MS = 4_000

export class DevChild {
  /** Resolves with whether it said that it is ready before it ended. */
  readonly ready: Promise<boolean>
  /** Resolves with its exit code, or the signal that ended it, when all that it said was passed on. */
  readonly ended: Promise<number | string>
  readonly #process: ChildProcess

  constructor({ program, args, env, folder, onLine }: ChildOptions) {
    const path = fileURLToPath(new URL(`../${program}.js`, import.meta.url))
    const child = spawn(process.execPath, ['--import', preambleFor(folder), path, ...args], {
      ...{ cwd: folder, env: { ...env } },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true, // Ctrl-C reaches only this process, which then stops the others in order
    })
    this.#process = child
    for (const stream of [child.stdout, child.stderr]) if (stream !== null) passOn(stream, onLine)
    this.ended = once(child, 'close').then(([code, signal]) => (code as number | null) ?? String(signal))
    const said = new Promise<boolean>((resolve) =>
      child.on('message', (message) => message === 'ready' && resolve(true)),
    )
    this.ready = Promise.race([said, this.ended.then(() => false)])
  }

  /** Asks it to end; ends it when that takes too long. Repeating it is safe. */
  async stop(): Promise<void> {
    const child = this.#process
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    const killed = setTimeout(() => child.kill('SIGKILL'), GRACE_MS)
    await this.ended
    clearTimeout(killed)
  }
}

function passOn(stream: Readable, onLine: (line: string) => void): void {
  createInterface({ input: stream }).on('line', onLine)
}
