/** `graflow config`: the settings that are in force, and where each comes from. Secrets are not shown. */
import { parseAddress } from '../../lib/backend/redis/address.js'
import { describe, mayHoldPassword, UNSHOWN } from '../../lib/describe.js'
import type { OptionSpec } from '../../lib/options.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Run } from '../host.js'
import { painter, table, toJson } from '../output.js'
import type { Given } from '../settings.js'
import { CONFIG_OPTIONS } from './options.js'

export const configCommand: Run = (given, host) => {
  const rows = settingsIn(given)
  if (given.switches.has('json'))
    host.out.write(toJson(Object.fromEntries(rows.map(({ option, ...row }) => [option, row]))))
  else {
    const paint = painter(host.out, host.env)
    const cells = rows.map(({ option, value, from }) => [option, from, valueText(value)])
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
  /** Null where there is none. */
  readonly value: unknown
  readonly from: string
}

/** Every option with what holds. */
function settingsIn({ options, sources }: Given): readonly Setting[] {
  return Object.entries<OptionSpec>(CONFIG_OPTIONS).map(([option, spec]) => {
    const from = sources[option]
    if (from === undefined) return { option, value: spec.default ?? spec.defaultText ?? null, from: 'default' }
    return { option, value: masked(option, spec, options[option]), from }
  })
}

/** A value without what may be a password or key in it. */
function masked(option: string, spec: OptionSpec, value: unknown): unknown {
  if (option === 'redisUrl' && typeof value === 'string') return withoutLogin(value)
  if (option === 'apiKey') return '***'
  if (typeof value === 'string' && (spec.form?.isSecret === true || mayHoldPassword(value)))
    return mayHoldPassword(value) ? UNSHOWN : value
  return Array.isArray(value)
    ? value.map((item: unknown) => (typeof item === 'string' && mayHoldPassword(item) ? UNSHOWN : item))
    : value
}

/** `redis://***@db:6379` for one with a user or password. @throws GraflowError INVALID_OPTION for one that cannot be read */
function withoutLogin(address: string): string {
  const { shown, username, password } = parseAddress(address)
  return username === undefined && password === undefined ? shown : shown.replace('://', '://***@')
}

function valueText(value: unknown): string {
  if (value === null) return '-'
  if (typeof value === 'string') return value
  return Array.isArray(value) ? value.map(valueText).join(', ') : describe(value)
}
