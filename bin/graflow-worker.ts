#!/usr/bin/env node
/**
 * `graflow-worker`: a worker as a process. Reads flags, environment and file; starts the worker; drains it on SIGTERM and SIGINT.
 *
 * Exit codes: 0 drained; 1 no Redis, or an uncaught exception; 2 something that was asked for is wrong;
 * 70 a fault of graflow itself.
 */
import { messageOf } from '../lib/describe.js'
import { hostname } from 'node:os'
import { isNativeError } from 'node:util/types'
import { ERROR_CODES, GraflowError } from '../lib/errors.js'
import { WORKER_OPTIONS } from '../lib/options.js'
import { systemClock } from '../lib/time.js'
import { Worker } from '../worker/index.js'
import type { Command } from './command.js'
import { SHARED_FILE, WORKER_ALIASES } from './commands/options.js'
import { writeLog } from './log.js'
import { readSettings } from './settings.js'
import { versionOf } from './version.js'

const NAME = 'graflow-worker'
/** A second signal: what is in hand is released, as far as that goes in this time. */
const HURRY_MS = 150
/** After an uncaught exception: outcomes are settled, as far as that goes in this time. */
const CRASH_MS = 500

const command: Command = {
  name: NAME,
  summary: 'runs tasks of flows until it is stopped',
  table: WORKER_OPTIONS,
  aliases: WORKER_ALIASES,
  section: 'worker',
  version: versionOf(),
  others: SHARED_FILE,
}

// The reader of our output may be gone; the work goes on.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

main().catch((error: unknown) => {
  fail(error)
})

async function main(): Promise<void> {
  const settings = await readSettings(command, {
    argv: process.argv.slice(2),
    env: process.env,
    folder: process.cwd(),
  })
  if (settings.text !== undefined) {
    process.stdout.write(`${settings.text}\n`)
    return
  }
  const format = settings.options['logFormat'] ?? 'auto'
  const isText = format === 'text' || (format === 'auto' && process.stdout.isTTY)
  const bindings = (): Readonly<Record<string, unknown>> => ({
    ...{ pid: process.pid, hostname: hostname(), workerId: worker.workerId },
  })
  const worker: Worker = new Worker(settings.options, {
    writeLog: (emitter, level) => writeLog(emitter, level, isText ? 'text' : 'json', bindings()),
  })
  const isToldToEnd = obeySignals(worker)
  dieOfExceptions(worker, isText ? undefined : bindings())
  try {
    await worker.start()
    // To who started it with a channel, such as graflow dev, or pm2 with wait_ready; who is gone by now need not know.
    process.send?.('ready', undefined, undefined, () => undefined)
  } catch (error) {
    // A signal arrived while the worker loaded or connected: it ends, and that is no failure.
    if (!isToldToEnd()) throw error
  }
}

/** The first signal drains, the second ends. @returns whether there was one */
function obeySignals(worker: Worker): () => boolean {
  let isDraining = false
  const obey = (): void => {
    if (isDraining) {
      void worker.abandon(HURRY_MS).finally(() => process.exit(0))
      return
    }
    isDraining = true
    // Handlers that hang and timers of their making do not keep the process.
    worker.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        fail(error)
      },
    )
  }
  process.on('SIGTERM', obey)
  process.on('SIGINT', obey)
  return () => isDraining
}

/**
 * After such an exception the state of the process is unknown: it ends, and other workers start its branches again.
 * @param bindings where the log is JSON: what stands in its lines. The last one is written here, since the log may be silent or not there yet
 */
function dieOfExceptions(worker: Worker, bindings: Readonly<Record<string, unknown>> | undefined): void {
  let isDying = false
  const die = (kind: string, error: unknown): void => {
    process.exitCode = 1
    if (isDying) return
    isDying = true
    process.stderr.write(lastWords(kind, error, bindings))
    void worker.crash(CRASH_MS).finally(() => process.exit(1))
  }
  process.on('uncaughtException', (error) => {
    die('an exception that no task caught', error)
  })
  process.on('unhandledRejection', (error) => {
    die('a rejection that no task caught', error)
  })
}

/** Why the process ends, as a line of the JSON log, or as text. */
function lastWords(kind: string, error: unknown, bindings: Readonly<Record<string, unknown>> | undefined): string {
  const end = 'the process ends: what was not started is released, what was counts as lost'
  const [message, stack] = [messageOf(error), stackOf(error)]
  if (bindings === undefined) return `${NAME}: ${kind}: ${stack ?? message}\n${NAME}: ${end}\n`
  const time = new Date(systemClock.now()).toISOString()
  const err = { ...(isNativeError(error) && { type: error.name }), message, stack }
  return `${JSON.stringify({ level: 'error', time, ...bindings, err, msg: `${NAME}: ${kind}: ${message}; ${end}` })}\n`
}

/** Whatever was thrown, looking at it must not throw again. */
function stackOf(error: unknown): string | undefined {
  try {
    return isNativeError(error) && typeof error.stack === 'string' ? error.stack : undefined
  } catch {
    return undefined // a getter that throws
  }
}

/** Says what is wrong, once, and ends the process with the error's code. */
function fail(error: unknown): void {
  if (error instanceof GraflowError) {
    process.stderr.write(`${NAME}: ${error.message}\n`)
    process.exit(ERROR_CODES[error.code].exitCode)
  }
  process.stderr.write(`${NAME}: ${stackOf(error) ?? messageOf(error)}\n`)
  process.exit(70)
}
