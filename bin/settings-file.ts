/** The file with the settings of all commands: `graflow.config.json`, or the one that is named. What is not known in it is refused. */
import { describe, messageOf } from '../lib/describe.js'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { OptionSpec, OptionTable } from '../lib/options.js'
import { type Command, invalid, meant, readValue, shown } from './command.js'

/** Read without being asked for, where it is there. */
export const FILE = 'graflow.config.json'

/** A value with the place where it stands, for people. */
export interface FileValue {
  readonly value: unknown
  readonly from: string
  /** Whether it stands in a section, which counts more than the top. */
  readonly isOwn: boolean
}

/**
 * What the file says of the command's options: at its top, and in the command's section, which counts more. Options and sections of other
 * commands are left alone.
 * @throws GraflowError INVALID_OPTION
 */
export function readSettingsFile(
  { table, aliases, section, others, borrowed = {} }: Command,
  named: string | undefined,
  folder: string,
): Readonly<Record<string, FileValue>> {
  const path = resolve(folder, named ?? FILE)
  const text = textOf(path, named !== undefined)
  if (text === undefined) return {}
  const whole = recordOf(parse(text, path), path)
  const { [section]: own = {}, ...top } = whole
  const known: Record<string, FileValue> = {}
  const names = [...Object.keys({ ...others?.table, ...table }), ...Object.keys(aliases).map(camel)]
  const isOthers = (key: string, name: string): boolean =>
    others !== undefined && (others.sections.includes(key) || Object.hasOwn(others.table, name))
  const read = (at: string, values: unknown, options: OptionTable, isLeft: typeof isOthers): void => {
    for (const [key, value] of Object.entries(recordOf(values, at))) {
      if (key === '$schema') continue
      const name = ownOf(aliases, kebab(key)) ?? ownOf(aliases, key) ?? camel(key)
      const spec = ownOf(options, name)
      if (spec !== undefined)
        known[name] = {
          ...{ value: readValue(spec, listOf(spec, value), `${at}: ${key}`), from: at, isOwn: at !== path },
        }
      else if (!isLeft(key, name)) throw invalid(`${at}: ${shown(key)}: there is no such option${meant(key, names)}`)
    }
  }
  const lent = new Set(Object.values(borrowed).flatMap((options) => Object.keys(options)))
  read(path, top, table, isOthers)
  read(`${path}: ${section}`, own, without(table, lent), () => false)
  for (const [name, options] of Object.entries(borrowed))
    read(`${path}: ${name}`, whole[name] ?? {}, options, () => true)
  return known
}

const without = (table: OptionTable, names: ReadonlySet<string>): OptionTable =>
  Object.fromEntries(Object.entries(table).filter(([name]) => !names.has(name)))

function textOf(path: string, isNamed: boolean): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (!isNamed && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw invalid(`config: cannot read ${path}: ${messageOf(error)}`)
  }
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
