/**
 * Options of a command from where people put them: flags, environment, a file, defaults, in this order. One table (lib/options.ts) says what
 * there is; yargs knows how flags are written, and nothing here knows what an option does.
 */
import { describe, describeError, messageOf } from '../lib/describe.js'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import yargs from 'yargs'
import { mayHoldPassword, quote, UNSHOWN } from '../lib/describe.js'
import { GraflowError } from '../lib/errors.js'
import { didYouMean, nearest } from '../lib/nearest.js'
import { defaultTextOf, faultOf, type OptionSpec, type OptionTable } from '../lib/options.js'

/** A command whose options are read. */
export interface Command {
  readonly name: string
  readonly summary: string
  readonly table: OptionTable
  /** Other spellings of options, in files and flags. */
  readonly aliases: Readonly<Record<string, string>>
  /** The section of the file that is the command's own, beside what stands at its top. */
  readonly section: string
  readonly version: string
}

/** Other names of flags of the worker, with the options that they mean. */
export const WORKER_ALIASES = Object.freeze({
  'key-prefix': 'keyPrefix',
  'redis-key-prefix': 'keyPrefix',
  queue: 'queues',
  capability: 'capabilities',
  limit: 'limits',
})

export interface Surroundings {
  /** Without the program's own name. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly folder: string
}

/** Options to go on with, or a text to print instead. */
export type Settings =
  | { readonly options: Readonly<Record<string, unknown>>; readonly text: undefined }
  | { readonly text: string; readonly options: undefined }

/** Of help. */
const HELP_COLUMNS = 100

/** Read without being asked for, where it is there. */
const FILE = 'graflow.config.json'

/**
 * Reads and checks all settings of a command.
 * @throws GraflowError INVALID_OPTION, with where the value came from and what was probably meant
 */
export async function readSettings(command: Command, { argv, env, folder }: Surroundings): Promise<Settings> {
  const flags = await readFlags(command, argv)
  if (flags.text !== undefined) return { text: flags.text, options: undefined }
  const { config, ...given } = flags.values
  const file = readFile(command, typeof config === 'string' ? config : env['GRAFLOW_CONFIG'], folder)
  const options: Record<string, unknown> = {}
  for (const [option, spec] of Object.entries(command.table)) {
    const value = given[option] ?? fromEnvironment(spec, env, folder) ?? file[option]
    if (value !== undefined) options[option] = value
  }
  // A flag for host, port or database wins over an address from the environment or the file, but not over `--redis-url`.
  if (given['redisUrl'] === undefined && (given['redisHost'] ?? given['redisPort'] ?? given['redisDb']) !== undefined)
    delete options['redisUrl']
  return { options, text: undefined }
}

// ------------------------------------------------------------------------------------------------------------------------ flags

/** The values that flags give, by option; or the text that a flag asks for. */
async function readFlags(
  command: Command,
  argv: readonly string[],
): Promise<{ readonly values: Readonly<Record<string, unknown>>; readonly text: string | undefined }> {
  // yargs looks up flags in plain objects, and so also finds inherited names such as `constructor`.
  const inherited = argv.slice(0, endOfFlags(argv)).filter((item) => isInherited(item))
  const parser = parserOf(
    command,
    argv.filter((item) => !inherited.includes(item)),
  )
  let failure: string | undefined
  parser.fail((message, error) => {
    failure ??= message === '' ? describeError(error) : message
  })
  const parsed = (await parser.parse()) as Readonly<Record<string, unknown>> // flags by their names
  if (parsed['help'] === true) return { values: {}, text: helpOf(command) }
  if (parsed['version'] === true) return { values: {}, text: command.version }
  for (const item of inherited) throw unknownFlag(command, nameOfFlag(item))
  refuseUnknown(command, parsed)
  demandValues(command, argv)
  const [word] = (parsed['_'] ?? []) as readonly (string | number)[]
  if (word !== undefined)
    throw invalid(`expected flags only, got ${quote(String(word))}; ${command.name} --help lists them`)
  if (failure !== undefined) throw invalid(`${failure.trim()}; ${command.name} --help lists the flags`)
  return { values: valuesOf(command, parsed), text: undefined }
}

/** Flags by option. */
const flagsOf = ({ table }: Command): ReadonlyMap<string, string> =>
  new Map(Object.entries(table).flatMap(([option, { flag }]) => (flag === undefined ? [] : [[option, flag]])))

function parserOf(command: Command, argv: readonly string[]): ReturnType<typeof yargs> {
  const { name, table } = command
  const parser = yargs([...argv])
    .scriptName(name)
    .help(false)
    .version(false)
    .parserConfiguration({
      'camel-case-expansion': false,
      'dot-notation': false,
      'boolean-negation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'greedy-arrays': false,
      'short-option-groups': false,
    })
    .option('config', { type: 'string' })
    .option('help', { type: 'boolean' })
    .option('version', { type: 'boolean' })
    .exitProcess(false)
  for (const [option, flag] of flagsOf(command)) {
    const alias = otherNames(command, option)
    const isList = table[option]?.kind === 'list'
    parser.option(flag, { type: 'string', array: isList, ...(alias.length > 0 && { alias }) })
  }
  return parser
}

/** Other spellings of an option's flag. */
const otherNames = ({ table, aliases }: Command, option: string): readonly string[] =>
  Object.keys(aliases).filter((alias) => aliases[alias] === option && alias !== table[option]?.flag)

/** @throws GraflowError INVALID_OPTION for a flag that there is not */
function refuseUnknown(command: Command, parsed: Readonly<Record<string, unknown>>): void {
  const known = knownFlags(command)
  for (const key of Object.keys(parsed)) {
    if (key !== '_' && key !== '$0' && !known.includes(key)) throw unknownFlag(command, key)
  }
}

const knownFlags = (command: Command): readonly string[] => [
  ...['config', 'help', 'version'],
  ...flagsOf(command).values(),
  ...Object.keys(command.aliases),
]

const unknownFlag = (command: Command, flag: string): GraflowError =>
  invalid(
    `unknown flag ${shown(`--${flag}`)}${meant(flag, knownFlags(command), '--')}; ${command.name} --help lists the flags`,
  )

/** Where flags end: at `--`, or with the last word. */
const endOfFlags = (argv: readonly string[]): number => (argv.includes('--') ? argv.indexOf('--') : argv.length)

/** `worker-id` of `--worker-id=w`; empty for what is no flag. */
const nameOfFlag = (item: string): string => /^--?([^=]+)/s.exec(item)?.[1] ?? ''

/** Whether it is a flag with a name that every object has, such as `--constructor`, or that yargs uses itself. */
function isInherited(item: string): boolean {
  const name = nameOfFlag(item).replace(/^no-/, '')
  return name !== '' && (name in Object.prototype || name === '_' || name === '$0')
}

/** What the flags say, each as its option has it. @throws GraflowError INVALID_OPTION */
function valuesOf(command: Command, parsed: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = {}
  for (const [option, flag] of flagsOf(command)) {
    const value = parsed[flag]
    const spec = command.table[option]
    if (value === undefined || spec === undefined) continue
    values[option] = read(spec, Array.isArray(value) && spec.kind !== 'list' ? value.at(-1) : value, `--${flag}`)
  }
  if (typeof parsed['config'] === 'string') values['config'] = parsed['config']
  return values
}

/** @throws GraflowError INVALID_OPTION for a flag that is followed by another one, or by nothing */
function demandValues(command: Command, argv: readonly string[]): void {
  const values = examplesOf(command)
  for (let i = 0; i < argv.length && argv[i] !== '--'; i += 1) {
    const [, flag = '', given] = /^--([^=]+)(?:=(.*))?$/s.exec(argv[i] ?? '') ?? []
    const example = values.get(flag)
    if (example === undefined) continue
    const next = argv[i + 1]
    const value = given ?? (next?.startsWith('--') === true ? undefined : next)
    if (value === undefined || value === '') {
      const got =
        given === undefined && next !== undefined ? `the flag ${shown(next.split('=', 1)[0] ?? '')}` : 'nothing'
      throw invalid(
        `--${flag}: expected a value, got ${got}: write --${flag} ${example}; ${command.name} --help lists the flags`,
      )
    }
    if (given === undefined) i += 1
  }
}

/** By flag, what may stand behind it. */
function examplesOf(command: Command): ReadonlyMap<string, string> {
  const examples = new Map([['config', 'FILE']])
  for (const [option, flag] of flagsOf(command)) {
    const spec = command.table[option]
    if (spec === undefined) continue
    for (const name of [flag, ...otherNames(command, option)]) examples.set(name, exampleOf(spec))
  }
  return examples
}

/** What may stand behind a flag. */
const exampleOf = (spec: OptionSpec): string =>
  spec.example ?? spec.oneOf?.join('|') ?? (spec.default === undefined ? 'VALUE' : defaultTextOf(spec))

/** What `--help` prints: of each flag what it does, what it may be, its default and its environment variables. */
function helpOf(command: Command): string {
  const { name, summary, table } = command
  const flags = Object.entries(table).flatMap(([option, spec]) => {
    if (spec.flag === undefined) return []
    const names = [spec.flag, ...otherNames(command, option)].map((flag) => `--${flag}`).join(', ')
    return [`  ${names} ${valueOf(spec)}`, ...inLines(spec.help), ...inLines(detailsOf(spec)), '']
  })
  return [
    `${name}: ${summary}`,
    '',
    `Usage: ${name} [flags]`,
    '',
    ...flags,
    `  --config FILE`,
    ...inLines(
      `Settings as JSON, such as { "maxConcurrentTasks": 4 }; without it ${FILE}, where there is one. env: GRAFLOW_CONFIG`,
    ),
    '',
    '  --help, --version',
    '',
    'What is said twice: a flag counts before the environment, that before the file, that before the default.',
  ].join('\n')
}

const valueOf = (spec: OptionSpec): string =>
  spec.oneOf?.join('|') ?? (spec.kind === 'integer' ? 'N' : spec.kind === 'list' ? 'VALUE …' : 'VALUE')

function detailsOf(spec: OptionSpec): string {
  const range =
    spec.kind === 'integer'
      ? [`${spec.min ?? 0} to ${spec.max ?? ''}${spec.unit === undefined ? '' : ` (${spec.unit})`}`]
      : []
  const repeated = spec.kind === 'list' ? ['may be repeated'] : []
  return [
    ...range,
    ...repeated,
    `default: ${defaultTextOf(spec)}`,
    ...(spec.env === undefined ? [] : [`env: ${spec.env.join(', ')}`]),
  ].join('; ')
}

function inLines(text: string): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length >= HELP_COLUMNS) lines.push(`      ${word}`)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

// -------------------------------------------------------------------------------------------------------------------- environment

function fromEnvironment(spec: OptionSpec, env: Surroundings['env'], folder: string): unknown {
  for (const name of spec.env ?? []) {
    const value = env[name]
    if (value !== undefined && value !== '') return read(spec, value, name)
    // Secrets come as files.
    const path = name.startsWith('GRAFLOW_') ? env[`${name}_FILE`] : undefined
    if (path !== undefined && path !== '')
      return read(spec, readText(resolve(folder, path), `${name}_FILE`).trim(), `${name}_FILE`)
  }
  return undefined
}

// ----------------------------------------------------------------------------------------------------------------------------- file

function readFile(
  { table, aliases, section }: Command,
  named: string | undefined,
  folder: string,
): Readonly<Record<string, unknown>> {
  const path = resolve(folder, named ?? FILE)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (named === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw invalid(`config: cannot read ${path}: ${messageOf(error)}`)
  }
  const whole = recordOf(parse(text, path), path)
  const { [section]: own = {}, ...top } = whole
  const known: Record<string, unknown> = {}
  const names = [...Object.keys(table), ...Object.keys(aliases).map(camel)]
  for (const [at, values] of [
    [path, top],
    [`${path}: ${section}`, recordOf(own, `${path}: ${section}`)],
  ] as const) {
    for (const [key, value] of Object.entries(values)) {
      if (key === '$schema') continue
      const name = ownOf(aliases, kebab(key)) ?? ownOf(aliases, key) ?? camel(key)
      const spec = ownOf(table, name)
      if (spec === undefined) throw invalid(`${at}: ${shown(key)}: there is no such option${meant(key, names)}`)
      known[name] = read(spec, listOf(spec, value), `${at}: ${key}`)
    }
  }
  return known
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // what stands around the fault is not shown: it may hold a password
    const [where] = / at position \d+( \(line \d+ column \d+\))?/.exec(messageOf(error)) ?? ['']
    throw invalid(`${path} is no JSON: its fault is${where === '' ? ' somewhere before its end' : where}`)
  }
}

function recordOf(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw invalid(`${where}: expected an object of options`)
}

/** An entry that is the table's own, not every object's. */
const ownOf = <T>(table: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined

/** In a file a list may also be a single text, and pairs an object. */
function listOf(spec: OptionSpec, value: unknown): unknown {
  if (spec.kind !== 'list' || Array.isArray(value)) return value
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).map(([key, item]) => `${key}=${typeof item === 'string' ? item : describe(item)}`)
  return value
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
const camel = (name: string): string => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

// ---------------------------------------------------------------------------------------------------------------------------- values

/** A value as its option has it: texts are read as what they say. */
function read(spec: OptionSpec, given: unknown, where: string): unknown {
  let value = given
  if (typeof given === 'string') {
    if (spec.kind === 'integer' && /^\s*-?[0-9]+\s*$/.test(given)) value = Number(given)
    else if (spec.kind === 'boolean' && /^(true|false)$/.test(given)) value = given === 'true'
    else if (spec.kind === 'list') value = itemsOf(given)
  } else if (spec.kind === 'list' && Array.isArray(given)) {
    value = given.flatMap((item: unknown): readonly unknown[] => (typeof item === 'string' ? itemsOf(item) : [item]))
  }
  const fault = faultOf(spec, value)
  if (fault === undefined) return value
  const word = spec.oneOf !== undefined && typeof value === 'string' ? didYouMean(value, spec.oneOf) : ''
  throw invalid(`${where}: ${fault}${word}`)
}

const itemsOf = (text: string): readonly string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

function readText(path: string, where: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw invalid(`${where}: cannot read ${path}: ${messageOf(error)}`)
  }
}

/** A misspelt name, or only the beginning of one; `before` it stands what is written before every such name. */
function meant(given: string, known: readonly string[], before = ''): string {
  const stem = given.slice(0, Math.max(4, Math.ceil(given.length / 2))).toLowerCase()
  const found = nearest(given, known) ?? known.find((name) => name.toLowerCase().startsWith(stem))
  return found === undefined ? '' : ` (did you mean "${before}${found}"?)`
}

/** A name that people have written, as they are shown it. */
const shown = (name: string): string => (mayHoldPassword(name) ? UNSHOWN : name)

const invalid = (message: string): GraflowError => new GraflowError('INVALID_OPTION', message)
