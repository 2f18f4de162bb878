/** The task modules that a command works with, and the input of a flow, as they are given on a command line. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { messageOf } from '../lib/describe.js'
import { GraflowError } from '../lib/errors.js'
import type { LoadedModule } from '../lib/modules/task-modules.js'
import type { Host } from './host.js'
import type { Given } from './settings.js'

/** Loads the modules that are named as words, else those of `tasks`. @throws GraflowError INVALID_OPTION without any; TASK_MODULE */
export function modulesOf(given: Given, host: Host): Promise<readonly LoadedModule[]> {
  return host.load(pathsOf(given))
}

/** @throws GraflowError INVALID_OPTION without any */
export function pathsOf({ words, options }: Given): readonly string[] {
  const listed = (options['tasks'] ?? []) as readonly string[] // the table says what it is
  const paths = words.length > 0 ? words : listed
  if (paths.length > 0) return paths
  throw new GraflowError(
    'INVALID_OPTION',
    'expected a task module, such as ./tasks.mjs, got none: name it, or put "tasks" into graflow.config.json; graflow init writes a first one',
  )
}

/** @param text JSON, `@` and a path, or `-` @param flag the one that says it @throws GraflowError INVALID_OPTION */
export async function inputOf(text: string | undefined, host: Host, flag = '--input'): Promise<unknown> {
  if (text === undefined) return undefined
  const file = text.startsWith('@') ? text.slice(1) : undefined
  const json =
    text === '-' ? await host.readInput() : file === undefined ? text : fileText(resolve(host.folder, file), flag)
  try {
    return JSON.parse(json) as unknown
  } catch (error) {
    const from = text === '-' ? ' on standard input' : file === undefined ? '' : ` in ${file}`
    const got = json.trim() === '' ? 'nothing' : `what is none: ${messageOf(error)}`
    const hint = from === '' ? `; a text stands in double quotes: ${flag} '"${plain(json)}"'` : ''
    throw new GraflowError('INVALID_OPTION', `${flag}: expected JSON${from}, got ${got}${hint}`)
  }
}

const plain = (text: string): string => (/^[\w .-]{1,40}$/.test(text) ? text : '…')

function fileText(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new GraflowError('INVALID_OPTION', `${flag}: cannot read ${path}: ${messageOf(error)}`)
  }
}
