/** Reads unit files of systemd and their environment files, as far as ours go: no quotes, no line continuations, the usual specifiers. */

/** Directives in their order: a section, a key and a value each. */
export type Unit = readonly (readonly [section: string, key: string, value: string])[]

export function parseUnit(text: string): Unit {
  let section = ''
  return text.split('\n').flatMap((line) => {
    const head = /^\[(\w+)\]$/.exec(line)?.[1]
    if (head !== undefined) {
      section = head
      return []
    }
    if (line === '' || /^[#;]/.test(line)) return []
    const [, key = '', value = ''] = /^(\w+)=(.*)$/.exec(line) ?? []
    if (key === '') throw new Error(`expected KEY=VALUE, got ${line}`)
    return [[section, key, value] as const]
  })
}

/** All values of a directive, in order. */
export const valuesOf = (unit: Unit, name: string): readonly string[] =>
  unit.flatMap(([, key, value]) => (key === name ? [value] : []))

/** The one value of a directive. @throws Error when there is none, or several */
export function valueOf(unit: Unit, name: string): string {
  const [value, ...more] = valuesOf(unit, name)
  if (value === undefined || more.length > 0)
    throw new Error(`expected one ${name}=, got ${valuesOf(unit, name).length}`)
  return value
}

/** `%i` and the like. @throws Error for one that is not given */
export const expand = (text: string, specifiers: Readonly<Record<string, string>>): string =>
  text.replace(/%(.)/g, (_, letter: string) => {
    const value = specifiers[letter]
    if (value === undefined) throw new Error(`expected a value for %${letter} in ${text}`)
    return value
  })

/** An environment file, or values of `Environment=`. */
export const parseEnvironment = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? []
      return name === undefined || value === undefined ? [] : [[name, value]]
    }),
  )

/** A time of systemd in milliseconds: `90`, `2s`, `1min 30s`. */
export function milliseconds(text: string): number {
  const units: Readonly<Record<string, number>> = { ms: 1, '': 1_000, s: 1_000, min: 60_000 }
  return text
    .split(' ')
    .map((part) => {
      const [, count = '', unit = ''] = /^(\d+)(\w*)$/.exec(part) ?? []
      const factor = units[unit]
      if (count === '' || factor === undefined) throw new Error(`expected a time, got ${text}`)
      return Number(count) * factor
    })
    .reduce((sum, ms) => sum + ms, 0)
}
