/** The command line of a command: flags, switches and words. yargs knows how flags are written; what is wrong is told in our words. */
import { describeError, quote } from '../lib/describe.js'
import type { GraflowError } from '../lib/errors.js'
import yargs from 'yargs'
import { defaultTextOf, type OptionSpec } from '../lib/options.js'
import { type Command, flagsOf, invalid, knownFlags, meant, otherNames, readValue, shown } from './command.js'
import { helpOf } from './help.js'

/** What stands on a command line; or the text that one of its flags asks for. */
export interface Flags {
  /** By option; `config` is the file that is named. */
  readonly values: Readonly<Record<string, unknown>>
  readonly switches: ReadonlySet<string>
  readonly words: readonly string[]
  readonly text: string | undefined
}

/** @throws GraflowError INVALID_OPTION with what was probably meant */
export async function readFlags(command: Command, argv: readonly string[]): Promise<Flags> {
  // yargs looks up flags in plain objects, and so also finds inherited names such as `constructor`.
  const inherited = argv.slice(0, endOfFlags(argv)).filter((item) => isInherited(item))
  const parser = parserOf(command, withDashes(argv.filter((item) => !inherited.includes(item))))
  let failure: string | undefined
  parser.fail((message, error) => {
    failure ??= message === '' ? describeError(error) : message
  })
  const parsed = (await parser.parse()) as Readonly<Record<string, unknown>> // flags by their names
  if (parsed['help'] === true) return asText(helpOf(command))
  if (parsed['version'] === true) return asText(command.version)
  for (const item of inherited) throw unknownFlag(command, nameOfFlag(item))
  refuseUnknown(command, parsed)
  demandValues(command, argv)
  refuseValues(command, argv)
  const words = ((parsed['_'] ?? []) as readonly (string | number)[]).map(String)
  refuseWords(command, words)
  if (failure !== undefined) throw invalid(`${failure.trim()}; ${command.name} --help lists the flags`)
  const isOn = ({ flag }: { readonly flag: string }): boolean => parsed[flag] === true
  const switches = Object.entries(command.switches ?? {}).flatMap(([name, one]) => (isOn(one) ? [name] : []))
  return { values: valuesOf(command, parsed), switches: new Set(switches), words, text: undefined }
}

const asText = (text: string): Flags => ({ values: {}, switches: new Set(), words: [], text })

/** `--input=-` for `--input -`, which yargs takes for a word. */
const withDashes = (argv: readonly string[]): readonly string[] =>
  argv.flatMap((item, i) => {
    if (item === '-' && /^--[^=]+$/.test(argv[i - 1] ?? '')) return []
    return argv[i + 1] === '-' && /^--[^=]+$/.test(item) ? [`${item}=-`] : [item]
  })

/** @throws GraflowError INVALID_OPTION for more words than the command takes */
function refuseWords({ name, words: taken }: Command, words: readonly string[]): void {
  const [extra] = words.slice(taken?.most ?? 0)
  if (extra === undefined) return
  const expected = taken === undefined ? 'flags only' : taken.usage
  throw invalid(
    `expected ${expected}, got ${quote(extra)}; ${name} --help lists ${taken === undefined ? 'them' : 'the flags'}`,
  )
}

function parserOf(command: Command, argv: readonly string[]): ReturnType<typeof yargs> {
  const { name, table, switches = {} } = command
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
  for (const { flag } of Object.values(switches)) parser.option(flag, { type: 'boolean' })
  for (const [option, flag] of flagsOf(command)) {
    const alias = otherNames(command, option)
    const isList = table[option]?.kind === 'list'
    parser.option(flag, { type: 'string', array: isList, ...(alias.length > 0 && { alias }) })
  }
  return parser
}

/** @throws GraflowError INVALID_OPTION for a flag that there is not */
function refuseUnknown(command: Command, parsed: Readonly<Record<string, unknown>>): void {
  const known = knownFlags(command)
  for (const key of Object.keys(parsed)) {
    if (key !== '_' && key !== '$0' && !known.includes(key)) throw unknownFlag(command, key)
  }
}

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
    values[option] = readValue(spec, Array.isArray(value) && spec.kind !== 'list' ? value.at(-1) : value, `--${flag}`)
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
        given === undefined && next?.startsWith('--') === true
          ? `the flag ${shown(next.split('=', 1)[0] ?? '')}`
          : 'nothing'
      throw invalid(
        `--${flag}: expected a value, got ${got}: write --${flag} ${example}; ${command.name} --help lists the flags`,
      )
    }
    if (given === undefined) i += 1
  }
}

/** @throws GraflowError INVALID_OPTION for a switch that is given a value */
function refuseValues({ name, switches = {} }: Command, argv: readonly string[]): void {
  const known = new Set(Object.values(switches).map(({ flag }) => flag))
  for (const item of argv.slice(0, endOfFlags(argv))) {
    const [, flag = '', value = ''] = /^--([^=]+)=(.*)$/s.exec(item) ?? []
    if (known.has(flag) && value !== 'true' && value !== 'false')
      throw invalid(
        `--${flag}: expected no value, got ${quote(value)}: write --${flag}; ${name} --help lists the flags`,
      )
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
