/**
 * What a command takes: options from lib/options.ts or a table like it, switches, and words beside the flags. Also how an option's value is
 * read from a text, and how a wrong one is told. Everything that reads settings (flags.ts, settings.ts) or shows them (help.ts) stands on it.
 */
import { mayHoldPassword, UNSHOWN } from '../lib/describe.js'
import { GraflowError } from '../lib/errors.js'
import { didYouMean, nearest } from '../lib/nearest.js'
import { faultOf, type OptionSpec, type OptionTable } from '../lib/options.js'

/** A command whose settings are read. */
export interface Command {
  readonly name: string
  readonly summary: string
  readonly table: OptionTable
  /** Other spellings of options, in files and flags. */
  readonly aliases: Readonly<Record<string, string>>
  /** The section of the file that is the command's own, beside what stands at its top. */
  readonly section: string
  readonly version: string
  /** Flags without a value. */
  readonly switches?: Readonly<Record<string, Switch>>
  /** What may stand beside the flags; nothing without it. */
  readonly words?: Words
  /** What else `--help` says, in lines. */
  readonly more?: readonly string[]
  /** By section of another command, the options that are read there, and not in the own section. */
  readonly borrowed?: Readonly<Record<string, OptionTable>>
  /** Options and sections of other commands, which a file that all share may have. */
  readonly others?: { readonly table: OptionTable; readonly sections: readonly string[] }
}

export interface Switch {
  readonly flag: string
  readonly help: string
}

export interface Words {
  /** As help writes them, such as `[FILE …]`. */
  readonly usage: string
  readonly help: string
  readonly most: number
}

/** The flags that every command has, beside its own. */
export const COMMON_FLAGS = Object.freeze(['config', 'help', 'version'])

/** Flags by option. */
export const flagsOf = ({ table }: Command): ReadonlyMap<string, string> =>
  new Map(Object.entries(table).flatMap(([option, { flag }]) => (flag === undefined ? [] : [[option, flag]])))

/** Other spellings of an option's flag. */
export const otherNames = ({ table, aliases }: Command, option: string): readonly string[] =>
  table[option] === undefined
    ? []
    : Object.keys(aliases).filter((alias) => aliases[alias] === option && alias !== table[option]?.flag)

/** Every flag that the command knows. */
export const knownFlags = (command: Command): readonly string[] => [
  ...COMMON_FLAGS,
  ...flagsOf(command).values(),
  ...Object.keys(command.table).flatMap((option) => otherNames(command, option)),
  ...Object.values(command.switches ?? {}).map(({ flag }) => flag),
]

/** A value as its option has it: texts are read as what they say. @throws GraflowError INVALID_OPTION that names `where` */
export function readValue(spec: OptionSpec, given: unknown, where: string): unknown {
  let value = given
  if (typeof given === 'string') {
    if (spec.kind === 'integer' && /^\s*-?[0-9]+\s*$/.test(given)) value = Number(given)
    else if (spec.kind === 'boolean' && /^(true|false)$/.test(given)) value = given === 'true'
    else if (spec.kind === 'list') value = itemsOf(given)
    else if (spec.oneOf?.includes(given.toLowerCase()) === true) value = given.toLowerCase()
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

/** A misspelt name, or only the beginning of one; `before` it stands what is written before every such name. */
export function meant(given: string, known: readonly string[], before = ''): string {
  const stem = given.slice(0, Math.max(4, Math.ceil(given.length / 2))).toLowerCase()
  const found = nearest(given, known) ?? known.find((name) => name.toLowerCase().startsWith(stem))
  return found === undefined ? '' : ` (did you mean "${before}${found}"?)`
}

/** A name that people have written, as they are shown it. */
export const shown = (name: string): string => (mayHoldPassword(name) ? UNSHOWN : name)

export const invalid = (message: string): GraflowError => new GraflowError('INVALID_OPTION', message)
