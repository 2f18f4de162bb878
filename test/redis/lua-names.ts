/**
 * Which names the Lua files give each other: what a part gives (`Gives:`), what a file needs of others (`Needs:`), and what its code speaks of.
 * Answers with sentences that say what is wrong. Works on any texts, so that its test can show it some that are wrong.
 */
import { wordsAfter } from '../../lib/backend/redis/scripts.js'

type Texts = ReadonlyMap<string, string>

/** Code without comments and without what stands in quotes. */
const codeOf = (text: string): string => text.replace(/'(?:\\.|[^'\\\n])*'/g, "''").replace(/--.*/g, '')

/** Names that the code speaks of; no fields, neither where they are read nor where a table is made. */
export function namesUsed(text: string): ReadonlySet<string> {
  const code = codeOf(text)
  const found = new Set<string>()
  let depth = 0
  for (const { 0: token, index } of code.matchAll(/[{}]|[A-Za-z_]\w*/g)) {
    if (token === '{') depth += 1
    else if (token === '}') depth -= 1
    else {
      const isRead = /(?<!\.)[.:]\s*$/.test(code.slice(0, index))
      const isMade = depth > 0 && /^\s*=(?!=)/.test(code.slice(index + token.length))
      if (!isRead && !isMade) found.add(token)
    }
  }
  return found
}

/** Names that the code makes its own: locals, parameters, and what loops count in. */
function namesMade(text: string): readonly string[] {
  const lists = [
    ...codeOf(text).matchAll(/\blocal (?!function\b)([\w, ]+)|\bfunction \w*\(([\w, ]*)\)|\bfor ([\w, ]+?) (?:in|=)/g),
  ]
  const functions = [...codeOf(text).matchAll(/\blocal function (\w+)/g)].map((match) => match[1] ?? '')
  return [...functions, ...lists.flatMap(([, made, given, counted]) => (made ?? given ?? counted ?? '').split(/[ ,]+/))]
}

/** By part: the names that a head lists below `Needs:`. */
function needsOf(text: string): ReadonlyMap<string, readonly string[]> {
  const needs = new Map<string, string[]>()
  let part = ''
  for (const word of wordsAfter(text, 'Needs')) {
    if (word.endsWith(':')) part = word.slice(0, -1)
    else needs.set(part, [...(needs.get(part) ?? []), word])
  }
  return needs
}

const isPart = (name: string): boolean => name.startsWith('part-')

/** What is wrong with the heads of these files; nothing when each lists just what it uses and gives. */
export function brokenNeeds(texts: Texts): readonly string[] {
  const broken: string[] = []
  const owners = new Map<string, string>()
  const unneeded = new Set<string>()
  for (const [file, text] of texts) {
    const given = isPart(file) ? wordsAfter(text, 'Gives') : []
    for (const name of given) {
      if (owners.has(name)) broken.push(`${file} gives ${name}, which ${owners.get(name) ?? ''} gives`)
      owners.set(name, file)
      unneeded.add(name)
      const isDefined = new RegExp(`^(?:function ${name}\\(| *(?:\\w+, )*${name}(?:, \\w+)* = )`, 'm').test(
        codeOf(text),
      )
      if (!isDefined) broken.push(`${file} gives ${name}, and does not define it`)
    }
  }
  for (const [file, text] of texts) {
    const listed = new Map([...needsOf(text)].flatMap(([part, names]) => names.map((name) => [name, `part-${part}`])))
    for (const [name, part] of listed) {
      unneeded.delete(name)
      if (owners.get(name) !== part) broken.push(`${file} needs ${name} of ${part}, which does not give it`)
    }
    const used = namesUsed(text)
    for (const [name, owner] of owners) {
      if (owner === file || used.has(name) === listed.has(name)) continue
      broken.push(
        `${file} ${listed.has(name) ? 'lists' : 'does not list'} ${name}, and ${used.has(name) ? 'uses' : 'does not use'} it`,
      )
    }
    for (const name of namesMade(text)) {
      if (owners.has(name))
        broken.push(`${file} makes a ${name} of its own, which hides that of ${owners.get(name) ?? ''}`)
    }
  }
  for (const name of unneeded) broken.push(`${owners.get(name) ?? ''} gives ${name}, and no other file needs it`)
  return broken
}
