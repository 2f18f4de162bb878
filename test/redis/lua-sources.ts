/** The Lua scripts as texts: their heads, the keys and answers that their lines speak of. Knows how our scripts are written, not Lua. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { waysOf } from '../../lib/backend/redis/scripts.js'

const folder = join(__dirname, '../../lib/backend/redis/lua')

/** Texts by file name without `.lua`. */
export const luaTexts: ReadonlyMap<string, string> = new Map(
  readdirSync(folder)
    .filter((file) => file.endsWith('.lua'))
    .map((file): [string, string] => [file.slice(0, -'.lua'.length), readFileSync(join(folder, file), 'utf8')]),
)

const ways = waysOf(luaTexts)

export const isPart = (name: string): boolean => name.startsWith('part-')

export interface Head {
  readonly flags: readonly string[]
  /** All parts that it stands behind in the library. */
  readonly uses: readonly string[]
  readonly what: string
  readonly keys: string
  readonly derives: readonly string[]
  readonly argv: string
  readonly answers: string
}

/** The comment at the top of a script, where `as open` stands for what open says there; throws where a line is missing or out of order. */
export function headOf(name: string): Head {
  const text = luaTexts.get(name) ?? ''
  const lines: string[] = []
  for (const line of text.split('\n')) {
    if (!line.startsWith('-- ')) {
      if (line !== '--' && !/^-- ?\w+:$/.test(line)) break
    }
    lines.push(line.slice(3))
  }
  const pattern =
    /^Flags:(?<flags>.*)\nNeeds:(?<needs>.*(?:\n {2}.*)*)\n(?<what>[^]+?)\nKEYS:(?<keys>.*)\nDerives:(?<derives>[^]+?)\nARGV:(?<argv>[^]+?)\nAnswers:(?<answers>[^]+)$/
  const found = pattern.exec(lines.join('\n'))?.groups
  if (found === undefined)
    throw new Error(`${name}.lua: expected a head of Flags, Needs, text, KEYS, Derives, ARGV, Answers`)
  const words = (of: string | undefined): string[] => (of ?? '').split(/[\s,]+/).filter((word) => word !== '')
  const ofOther = <K extends 'derives' | 'argv' | 'answers'>(line: K): Head[K] | undefined => {
    const other = /^ as ([a-z-]+)$/.exec(found[line] ?? '')?.[1]
    return other === undefined ? undefined : headOf(other)[line]
  }
  return {
    flags: words(found['flags']),
    uses: ways.get(name) ?? [],
    what: found['what'] ?? '',
    keys: (found['keys'] ?? '').trim(),
    derives: ofOther('derives') ?? words(found['derives']).filter((word) => word.startsWith('T:')),
    argv: ofOther('argv') ?? found['argv'] ?? '',
    answers: ofOther('answers') ?? found['answers'] ?? '',
  }
}

/** What comes after the tag, with what is put in left out: `T:b:<gid>:d` is `:b:…:d`. */
const shape = (key: string): string => key.replace(/^T/, '').replace(/<[^>]*>/g, '…')

/** Names before which a suffix says of what: a group's hash, a run's. */
const GROUP = String.raw`(?:\bb|g\.b|parent\.b)`
const RUN = String.raw`(?:run\.key|\bkey|T \.\. ':r:' \.\. [\w.]+)`

/** The shapes of keys that a text makes. */
export function keysUsed(text: string): Set<string> {
  const code = text.replace(/^\s*--.*$/gm, '')
  const found = new Set<string>()
  const each = (pattern: RegExp, make: (name: string) => string): void => {
    for (const match of code.matchAll(pattern)) found.add(make(match[1] ?? ''))
  }
  each(/T \.\. '(:[a-z]+)'/g, (name) => name)
  each(/T \.\. '(:(?!b:|r:)[a-z]+:)' \.\./g, (name) => `${name}…`)
  each(/T \.\. '(:[br]:)' \.\. [\w.]+(?! \.\.)/g, (name) => `${name}…`)
  each(/T \.\. ':b:' \.\. [\w.]+ \.\. '(:[a-z])'/g, (name) => `:b:…${name}`)
  each(new RegExp(`${GROUP} \\.\\. '(:[a-hj-z])'`, 'g'), (name) => `:b:…${name}`)
  each(new RegExp(`${GROUP} \\.\\. '(:i)[0-9]*'`, 'g'), (name) => `:b:…${name}…`)
  each(new RegExp(`${GROUP} \\.\\. '(:o)' \\.\\.`, 'g'), (name) => `:b:…${name}…`)
  each(new RegExp(`${RUN} \\.\\. '(:(?:v|k|e|ch|cx|cn|cl))'`, 'g'), (name) => `:r:…${name}`)
  each(new RegExp(`${RUN} \\.\\. '(:cl:)'`, 'g'), (name) => `:r:…${name}…`)
  if (/\bload\(|\bg\.b\b/.test(code)) found.add(':b:…')
  if (/\bloadRun\(|\brun\.key\b/.test(code)) found.add(':r:…')
  return found
}

export { shape }

/** Words in capitals that a text returns as the first thing of an answer. */
export function answersReturned(text: string): Set<string> {
  const code = text.replace(/^\s*--.*$/gm, '')
  const found = new Set<string>()
  for (const match of code.matchAll(/(?:return|answers?(?:\[[^\]]*\])? =|reply =)\s+(\{ )?([^\n]*)/g)) {
    const rest = match[2] ?? ''
    const first = /^'([A-Z]{2,})'/.exec(rest)?.[1]
    if (first !== undefined) found.add(first)
    for (const inside of rest.matchAll(/\{ '([A-Z]{2,})'/g)) found.add(inside[1] ?? '')
    for (const choice of rest.matchAll(/(?:and|or) (?:\{ )?'([A-Z]{2,})'/g)) found.add(choice[1] ?? '')
  }
  return found
}

/** Words in capitals that a head lists. */
export const answersListed = (head: Head): Set<string> =>
  new Set([...head.answers.matchAll(/(?:^|[\s|:(])([A-Z]{2,})\b/g)].map((match) => match[1] ?? ''))
