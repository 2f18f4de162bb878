/** From a command line to an exit code: finds the command, reads its settings, runs it, and tells what is wrong. */
import { messageOf } from '../lib/describe.js'
import { isNativeError } from 'node:util/types'
import { ERROR_CODES, GraflowError } from '../lib/errors.js'
import { invalid, meant, shown } from './command.js'
import { COMMANDS } from './commands.js'
import { EXIT_CODES } from './exit-codes.js'
import type { Host, Screen } from './host.js'
import { toJson } from './output.js'
import { readSettings } from './settings.js'
import { table } from './table.js'
import { versionOf } from './version.js'

const NAME = 'graflow'

/**
 * Never rejects: what is wrong is written to standard error, and with `--json` to standard output, too, where a program waits for a document.
 * @returns the exit code
 */
export async function main(argv: readonly string[], host: Host): Promise<number> {
  const [word = 'help'] = argv
  const out = new NotedScreen(host.out)
  try {
    return await dispatch(argv, { ...host, out })
  } catch (error) {
    const name = COMMANDS.has(word) ? `${NAME} ${word}` : NAME
    if (isJson(argv) && !out.isWritten) out.write(toJson({ error }))
    if (error instanceof GraflowError && error.code !== 'INTERNAL') {
      host.err.write(`${name}: ${error.message}\n`)
      // A run was not begun, since the command was told to end before.
      if (error.code === 'CANCELLED' && host.signal.aborted) return EXIT_CODES.interrupted.code
      return ERROR_CODES[error.code].exitCode
    }
    const stack: unknown = isNativeError(error) ? error.stack : undefined
    host.err.write(`${name}: ${typeof stack === 'string' ? stack : messageOf(error)}\n`)
    return EXIT_CODES.internal.code
  }
}

/** Whether a command that knows it is told to write JSON, also where another flag is wrong. */
function isJson([word = '', ...rest]: readonly string[]): boolean {
  const flag = COMMANDS.get(word)?.command.switches?.['json']?.flag
  const end = rest.indexOf('--')
  return flag !== undefined && (end < 0 ? rest : rest.slice(0, end)).includes(`--${flag}`)
}

/** Knows whether something was written. */
class NotedScreen implements Screen {
  readonly #screen: Screen
  isWritten = false

  constructor(screen: Screen) {
    this.#screen = screen
  }

  get isTTY(): boolean {
    return this.#screen.isTTY === true
  }

  get columns(): number {
    return this.#screen.columns ?? 0
  }

  get rows(): number {
    return this.#screen.rows ?? 0
  }

  write(text: string): unknown {
    this.isWritten = true
    return this.#screen.write(text)
  }
}

async function dispatch([word = 'help', ...rest]: readonly string[], host: Host): Promise<number> {
  const print = (text: string): number => {
    host.out.write(text.endsWith('\n') ? text : `${text}\n`)
    return EXIT_CODES.done.code
  }
  if (word === '--version') return print(versionOf())
  if (word === 'help' || word === '--help' || word === '-h') {
    const [about] = rest
    return about === undefined ? print(helpText(host)) : dispatch([about, '--help'], host)
  }
  const entry = COMMANDS.get(word)
  if (entry === undefined) throw unknownCommand(word)
  const settings = await readSettings(entry.command, { argv: rest, env: host.env, folder: host.folder })
  return settings.text === undefined ? entry.run(settings, host) : print(settings.text)
}

function unknownCommand(word: string): GraflowError {
  const names = [...COMMANDS.keys(), 'help']
  if (word.startsWith('-'))
    return invalid(
      `expected a command first, such as ${NAME} run, got the flag ${shown(word.split('=', 1)[0] ?? '')}; ${NAME} --help lists them`,
    )
  return invalid(`there is no command ${JSON.stringify(shown(word))}${meant(word, names)}; ${NAME} --help lists them`)
}

function helpText(host: Host): string {
  const rows = [...COMMANDS].map(([name, { command }]) => [`  ${name}`, command.summary])
  return [
    `${NAME}: runs graphs of tasks, and shows and steers runs and workers`,
    '',
    `Usage: ${NAME} COMMAND [flags]`,
    '',
    table(['COMMANDS', ''], rows, host.out),
    `${NAME} help COMMAND lists the flags of a command. Every command takes the connection of graflow-worker: --redis-url,`,
    '--redis-host, --redis-port, --redis-db, --redis-key-prefix; the same variables, such as GRAFLOW_REDIS_URL; the same file.',
    '',
    'Workers are started by graflow-worker.',
  ].join('\n')
}
