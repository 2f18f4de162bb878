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
  /** What is set and does not count, since an address and its parts are both set; with where it is set. */
  readonly overridden: ReadonlyMap<string, string>
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
  const candidates = candidatesOf(command, given, file, env, folder)
  const overridden = overriddenIn(candidates)
  const options: Record<string, unknown> = {}
  const sources: Record<string, string> = {}
  for (const [option, candidate] of candidates) {
    if (overridden.has(option)) continue
    options[option] = candidate.value()
    sources[option] = candidate.from
  }
  const { switches, words } = flags
  return { options, sources, overridden, switches, words, text: undefined }
}

/** How much a place counts, beside others that say something of the same. */
const RANKS = Object.freeze({ top: 0, section: 1, environment: 2, flag: 3 })

/** A value that somebody has given, from the place that counts most of those that have one. */
interface Candidate {
  readonly from: string
  readonly rank: number
  /** Read when it is needed: a value that does not count is not judged. @throws GraflowError INVALID_OPTION */
  readonly value: () => unknown
}

function candidatesOf(
  { table }: Command,
  flags: Readonly<Record<string, unknown>>,
  file: ReturnType<typeof readSettingsFile>,
  env: Surroundings['env'],
  folder: string,
): ReadonlyMap<string, Candidate> {
  const candidates = new Map<string, Candidate>()
  for (const [option, spec] of Object.entries(table)) {
    const [flag, written] = [flags[option], file[option]]
    const found: Candidate | undefined =
      flag !== undefined
        ? { value: () => flag, from: `--${spec.flag ?? option}`, rank: RANKS.flag }
        : (fromEnvironment(spec, env, folder) ??
          (written && {
            ...{ value: () => written.value, from: written.from, rank: written.isOwn ? RANKS.section : RANKS.top },
          }))
    if (found !== undefined) candidates.set(option, found)
  }
  return candidates
}

/** What an address has, too. */
export const ADDRESS_PARTS = ['redisHost', 'redisPort', 'redisDb'] as const

/**
 * An address holds host, port and database. Where one stands beside them, the place that counts more decides, and in one place the address. So
 * a variable such as REDIS_PORT, which Kubernetes sets to a text of its own for each Service named `redis`, does nothing beside an address.
 */
function overriddenIn(candidates: ReadonlyMap<string, Candidate>): ReadonlyMap<string, string> {
  const address = candidates.get('redisUrl')
  const parts = ADDRESS_PARTS.filter((part) => candidates.has(part))
  if (address === undefined || parts.length === 0) return new Map()
  const most = Math.max(...parts.map((part) => candidates.get(part)?.rank ?? 0))
  const overridden = address.rank >= most ? parts : (['redisUrl'] as const)
  return new Map(overridden.map((option) => [option, candidates.get(option)?.from ?? '']))
}

function fromEnvironment(spec: OptionSpec, env: Surroundings['env'], folder: string): Candidate | undefined {
  for (const name of spec.env ?? []) {
    const value = env[name]
    if (value !== undefined && value !== '')
      return { value: () => readVariable(spec, value, name), from: name, rank: RANKS.environment }
    // Secrets come as files.
    const from = `${name}_FILE`
    const path = name.startsWith('GRAFLOW_') ? env[from] : undefined
    if (path !== undefined && path !== '') {
      const read = (): unknown => readValue(spec, readText(resolve(folder, path), from).trim(), from)
      return { value: read, from, rank: RANKS.environment }
    }
  }
  return undefined
}

/** @throws GraflowError INVALID_OPTION */
function readVariable(spec: OptionSpec, value: string, name: string): unknown {
  try {
    return readValue(spec, value, name)
  } catch (error) {
    if (spec.kind !== 'integer' || !value.startsWith('tcp://')) throw error
    const service = name
      .replace(/_PORT$/, '')
      .toLowerCase()
      .replaceAll('_', '-')
    throw invalid(
      `${messageOf(error)}; Kubernetes sets it where the namespace has a Service "${service}": put enableServiceLinks: false into the pod's spec`,
    )
  }
}

function readText(path: string, where: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw invalid(`${where}: cannot read ${path}: ${messageOf(error)}`)
  }
}
