/** `graflow config`: the settings that are in force, and where each comes from. Secrets are not shown. */
import { parseAddress } from '../../lib/backend/redis/address.js'
import { describe, mayHoldPassword } from '../../lib/describe.js'
import type { OptionSpec } from '../../lib/options.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Run } from '../host.js'
import { painter, toJson } from '../output.js'
import { ADDRESS_PARTS, type Given } from '../settings.js'
import { table } from '../table.js'
import { CONFIG_OPTIONS } from './options.js'

export const configCommand: Run = (given, host) => {
  const rows = settingsIn(given)
  if (given.switches.has('json'))
    host.out.write(toJson(Object.fromEntries(rows.map(({ option, ...row }) => [option, row]))))
  else {
    const paint = painter(host.out, host.env)
    const cells = rows.map(({ option, value, from, note }) => [option, from, note ?? valueText(value)])
    host.out.write(
      table(['OPTION', 'FROM', 'VALUE'], cells, host.out, (text, column, row) =>
        row === undefined || (column < 2 && row[1] === 'default') ? paint('dim', text) : text,
      ),
    )
  }
  return Promise.resolve(EXIT_CODES.done.code)
}

interface Setting {
  readonly option: string
  /** As its option has it; null where there is none that a program could take. */
  readonly value: unknown
  /** A flag, a variable, a file, or `default`. */
  readonly from: string
  /** In words, where there is no value: what holds instead. */
  readonly note?: string
}

/** Every option with what holds. */
function settingsIn({ options, sources, overridden }: Given): readonly Setting[] {
  const isOfParts = ADDRESS_PARTS.some((part) => sources[part] !== undefined)
  return Object.entries<OptionSpec>(CONFIG_OPTIONS).map(([option, spec]) => {
    const from = overridden.get(option) ?? sources[option] ?? 'default'
    const isPart = ADDRESS_PARTS.some((part) => part === option)
    if (isPart && sources['redisUrl'] !== undefined) return { option, value: null, from, note: 'that of redisUrl' }
    if (option === 'redisUrl' && isOfParts)
      return { option, value: null, from, note: `made of ${ADDRESS_PARTS.join(', ')}` }
    if (from !== 'default') return { option, value: masked(option, options[option]), from }
    const { default: value = null, defaultText: note } = spec
    return { option, value, from, ...(value === null && note !== undefined && { note }) }
  })
}

/** Stands for what may be a password or a key. */
const MASK = '***'

/** A value without what may be a password or key in it. */
function masked(option: string, value: unknown): unknown {
  if (option === 'redisUrl' && typeof value === 'string') return withoutLogin(value)
  if (option === 'apiKey') return MASK
  if (typeof value === 'string' && mayHoldPassword(value)) return MASK
  return Array.isArray(value)
    ? value.map((item: unknown) => (typeof item === 'string' && mayHoldPassword(item) ? MASK : item))
    : value
}

/** `redis://***@db:6379` for one with a user or password. @throws GraflowError INVALID_OPTION for one that cannot be read */
function withoutLogin(address: string): string {
  const { shown, username, password } = parseAddress(address)
  return username === undefined && password === undefined ? shown : shown.replace('://', `://${MASK}@`)
}

function valueText(value: unknown): string {
  if (value === null) return '-'
  if (typeof value === 'string') return value
  return Array.isArray(value) ? value.map(valueText).join(', ') : describe(value)
}
