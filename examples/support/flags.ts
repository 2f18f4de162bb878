/** Parses the arguments of an example's command, and reports problems with them. */
import { parseArgs } from 'node:util'

export type FlagKind = 'switch' | 'number' | 'text'

export type Flags<T extends Readonly<Record<string, FlagKind>>> = {
  readonly [K in keyof T]: T[K] extends 'switch' ? boolean : (T[K] extends 'number' ? number : string) | undefined
}

/** Flags by name and the other arguments, or the problem in one line. */
export type Words<T extends Readonly<Record<string, FlagKind>>> =
  | { readonly flags: Flags<T>; readonly others: readonly string[]; readonly problem?: undefined }
  | { readonly problem: string }

/** Numbers are whole and not negative. `-h` is short for `help` if that flag exists. */
export function readFlags<const T extends Readonly<Record<string, FlagKind>>>(
  words: readonly string[],
  table: T,
): Words<T> {
  const names = Object.keys(table)
  const { values, positionals, tokens } = parseArgs({
    args: [...words],
    options: Object.fromEntries(
      names.map((name) => [
        name,
        {
          type: table[name] === 'switch' ? ('boolean' as const) : ('string' as const),
          ...(name === 'help' && { short: 'h' }),
        },
      ]),
    ),
    allowPositionals: true,
    strict: false,
    tokens: true,
  })
  const flags: Record<string, boolean | number | string | undefined> = {}
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const kind = names.includes(token.name) ? table[token.name] : undefined
    if (kind === undefined) return { problem: `there is no ${token.rawName}${nearest(token.name, names)}` }
    if (kind === 'switch' && token.value !== undefined) return { problem: `${token.rawName} takes no value` }
    if (kind === 'text' && (token.value ?? '') === '') return { problem: `${token.rawName} takes a value` }
    if (kind === 'number' && !/^\d{1,9}$/.test(token.value ?? ''))
      return { problem: `${token.rawName} takes a whole number, got ${token.value ?? 'none'}` }
  }
  for (const name of names) {
    const value = values[name]
    flags[name] = table[name] === 'switch' ? value === true : table[name] === 'number' && value ? Number(value) : value
  }
  return { flags: flags as Flags<T>, others: positionals } // each value was made by its kind
}

function nearest(name: string, flags: readonly string[]): string {
  const [best] = flags
    .map((flag) => ({ flag, distance: distance(name.toLowerCase(), flag) }))
    .filter(({ flag, distance }) => distance <= Math.ceil(flag.length / 2))
    .sort((a, b) => a.distance - b.distance)
  if (best !== undefined) return `: did you mean --${best.flag}?`
  const shown = flags.map((flag) => `--${flag}`)
  return `; the flags are ${shown.slice(0, -1).join(', ')} and ${shown.at(-1) ?? ''}`
}

/** The number of letters that differ (Levenshtein 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...b].entries()) {
      next.push(Math.min((row[j] ?? 0) + (letter === other ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
