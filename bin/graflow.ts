#!/usr/bin/env node
/** `graflow`, the operator's command. The first SIGINT or SIGTERM asks it to end, the second ends it. Exit codes: docs/command.md. */
import { text } from 'node:stream/consumers'
import { WORKER_OPTIONS } from '../lib/options.js'
import { systemClock } from '../lib/time.js'
import { EXIT_CODES } from './exit-codes.js'
import { main } from './main.js'
import { resolveHere } from './resolve-here.js'

// The reader of our output may be gone, as with `graflow graph … | head`.
let isUnread = false
process.stdout.on('error', () => (isUnread = true))
process.stderr.on('error', () => undefined)

const interruption = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (interruption.signal.aborted) process.exit(EXIT_CODES.interrupted.code)
    interruption.abort(new Error(`interrupted by ${name}`))
  })
}

/** While somebody listens, the terminal hands each key on, Ctrl-C too. */
function onKey(fn: (key: string) => void): () => void {
  const hear = (data: Buffer): void => fn(data.toString())
  process.stdin.setRawMode(true).on('data', hear).resume()
  return () => void process.stdin.off('data', hear).setRawMode(false).pause()
}

const folder = process.cwd()
const time = { clock: systemClock, timeoutMs: WORKER_OPTIONS.moduleTimeoutMs.default }

void main(process.argv.slice(2), {
  ...{ env: process.env, folder, out: process.stdout, err: process.stderr, signal: interruption.signal },
  now: () => systemClock.now(),
  isUnread: () => isUnread,
  ...(process.stdin.isTTY && { onKey }),
  readInput: () => text(process.stdin),
  async load(paths) {
    resolveHere(folder)
    const { loadModules } = await import('../lib/modules/task-modules.js') // with the language, which few commands need
    return loadModules(paths, folder, time)
  },
}).then((code) => {
  // Timers of task modules do not keep the process; what was printed is written first.
  process.exitCode = code
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
})
