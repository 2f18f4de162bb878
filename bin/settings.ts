/**
 * Options of a command from where people put them: flags, environment, a file, defaults, in this order. One table (lib/options.ts) says what
 * there is; nothing here knows what an option does. Every command reads its settings here, so all of them take them from the same places.
 */
import { messageOf } from '../lib/describe.js'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { OptionSpec } from '../lib/options.js'
import { type Command, invalid, readValue } from './command.js'
import { readFlags } from './flags.js'
import { readSettingsFile } from './settings-file.js'

export interface Surroundings {
  /** Without the program's own name. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly folder: string
}

/** What a command goes on with. */
export interface Given {
  readonly options: Readonly<Record<string, unknown>>
  /** By option, where its value comes from: a flag, a variable, a file. */
  readonly sources: Readonly<Record<string, string>>
  readonly switches: ReadonlySet<string>
  readonly words: readonly string[]
}

/** Settings to go on with, or a text to print instead. */
export type Settings = (Given & { readonly text: undefined }) | { readonly text: string; readonly options: undefined }

/**
 * Reads and checks all settings of a command.
 * @throws GraflowError INVALID_OPTION, with where the value came from and what was probably meant
 */
export async function readSettings(command: Command, { argv, env, folder }: Surroundings): Promise<Settings> {
  const flags = await readFlags(command, argv)
  if (flags.text !== undefined) return { text: flags.text, options: undefined }
  const { config, ...given } = flags.values
  const file = readSettingsFile(command, typeof config === 'string' ? config : env['GRAFLOW_CONFIG'], folder)
  const options: Record<string, unknown> = {}
  const sources: Record<string, string> = {}
  for (const [option, spec] of Object.entries(command.table)) {
    const flag = given[option]
    const found =
      flag === undefined
        ? (fromEnvironment(spec, env, folder) ?? file[option])
        : { value: flag, from: `--${spec.flag ?? option}` }
    if (found === undefined) continue
    options[option] = found.value
    sources[option] = found.from
  }
  // A flag for host, port or database wins over an address from the environment or the file, but not over `--redis-url`.
  if (given['redisUrl'] === undefined && (given['redisHost'] ?? given['redisPort'] ?? given['redisDb']) !== undefined) {
    delete options['redisUrl']
    delete sources['redisUrl']
  }
  const { switches, words } = flags
  return { options, sources, switches, words, text: undefined }
}

function fromEnvironment(
  spec: OptionSpec,
  env: Surroundings['env'],
  folder: string,
): { readonly value: unknown; readonly from: string } | undefined {
  for (const name of spec.env ?? []) {
    const value = env[name]
    if (value !== undefined && value !== '') return { value: readValue(spec, value, name), from: name }
    // Secrets come as files.
    const from = `${name}_FILE`
    const path = name.startsWith('GRAFLOW_') ? env[from] : undefined
    if (path !== undefined && path !== '')
      return { value: readValue(spec, readText(resolve(folder, path), from).trim(), from), from }
  }
  return undefined
}

function readText(path: string, where: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw invalid(`${where}: cannot read ${path}: ${messageOf(error)}`)
  }
}
