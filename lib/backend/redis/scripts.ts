/**
 * The Lua scripts as Redis gets them: one library with a function for each, and the shared parts that their heads name. Files are read when
 * a backend is opened, never at import. docs/redis.md says what the scripts promise; test/redis/heads.test.ts holds each head against its
 * text.
 */
import { createHash } from 'node:crypto'
import { GraflowError } from '../../errors.js'
import { luaTexts } from './sources.js'

/** All scripts, by the name of their file in lua/. */
export const SCRIPT_NAMES = Object.freeze([
  'acquire',
  'channel-change',
  'channel-lock',
  'channel-read',
  'channel-write',
  'control',
  'decide',
  'documents',
  'documents-full',
  'event-log',
  'event-log-keep',
  'event-log-read',
  'groups',
  'held',
  'input',
  'list-runs',
  'open',
  'open-full',
  'open-waits',
  'outcomes',
  'parts',
  'progress',
  'queues',
  'reopen',
  'rights',
  'waiting',
  'session',
  'sessions',
  'settle',
  'signal',
  'step',
  'step-full',
  'step-refusing',
  'sweep',
  'take',
] as const)
export type ScriptName = (typeof SCRIPT_NAMES)[number]

export interface Script {
  readonly name: string
  /** What the head says after `Flags:`: `allow-oom`, `no-writes` or none. */
  readonly flags: readonly string[]
  /** The library with all functions, as FUNCTION LOAD wants it. */
  readonly source: string
  /** Of its function: the name, and a sha1 of the library. */
  readonly id: string
}

/** A part that one script of so many needs stands on the way of all that need anything behind it. */
const SHARED_BY = 4

let scripts: ReadonlyMap<string, Script> | undefined

/** Every script there is, put together once in a process: that takes 15 ms. @throws GraflowError INTERNAL where a head names no part */
export function loadScripts(): ReadonlyMap<string, Script> {
  scripts ??= scriptsOf(luaTexts())
  return scripts
}

function scriptsOf(sources: ReadonlyMap<string, string>): ReadonlyMap<string, Script> {
  const root: Block = { parts: new Map(), functions: [] }
  const texts = withConstants(sources)
  const ways = waysOf(texts)
  const names = [...ways.keys()]
  for (const [name, way] of ways) place(root, name, way, texts)
  const body = linesOf(root, texts).join('\n')
  const flagsOf = (name: string): readonly string[] => wordsAfter(texts.get(name) ?? '', 'Flags')
  const sha = createHash('sha1')
    .update(names.map((name) => `${name} ${flagsOf(name).join()}`).join('\n'))
    .update(body)
    .digest('hex')
  const idOf = (name: string): string => `graflow_${name.replaceAll('-', '_')}_${sha}`
  const registered = names.map((name) => {
    const flags = flagsOf(name).map((flag) => `'${flag}'`)
    const facts = `function_name = '${idOf(name)}', callback = scripts['${name}'], flags = { ${flags.join(', ')} }`
    return `redis.register_function{ ${facts} }`
  })
  const source = [`#!lua name=graflow_${sha}`, 'local scripts, begins = {}, {}', body, ...registered].join('\n')
  return new Map(names.map((name) => [name, { name, flags: flagsOf(name), source, id: idOf(name) }]))
}

/**
 * For every script the parts that it needs, and those that they need, each after those that it needs itself. Parts that many scripts need
 * come first, and no way leaves one of these out before another: so all ways have their beginning in common, and each part is there once.
 */
export function waysOf(texts: ReadonlyMap<string, string>): ReadonlyMap<string, readonly string[]> {
  const needs = new Map([...texts].map(([name, text]) => [name, needsOf(text)]))
  const below = (name: string, found = new Set<string>()): Set<string> => {
    for (const part of needs.get(name) ?? []) {
      if (!texts.has(`part-${part}`))
        throw new GraflowError('INTERNAL', `expected lua/part-${part}.lua, which ${name} needs`)
      if (!found.has(part)) below(`part-${part}`, found.add(part))
    }
    return found
  }
  const wanted = new Map(
    [...texts.keys()].filter((name) => !name.startsWith('part-')).map((name) => [name, below(name)]),
  )
  const uses = (part: string): number => [...wanted.values()].filter((parts) => parts.has(part)).length
  const left = new Set([...wanted.values()].flatMap((parts) => [...parts]).sort((a, b) => uses(b) - uses(a)))
  const order: string[] = []
  while (left.size > 0) {
    const next = [...left].find((part) => !(needs.get(`part-${part}`) ?? []).some((other) => left.has(other)))
    if (next === undefined) throw new GraflowError('INTERNAL', `expected no circle of parts, got ${[...left].join()}`)
    order.push(next)
    left.delete(next)
  }
  const isShared = (part: string): boolean => uses(part) * SHARED_BY >= wanted.size
  const wayTo = (parts: ReadonlySet<string>): readonly string[] => {
    const lastShared = order.findLastIndex((part) => parts.has(part) && isShared(part))
    return order.filter((part, i) => parts.has(part) || (isShared(part) && i < lastShared))
  }
  return new Map([...wanted].map(([name, parts]) => [name, wayTo(parts)]))
}

/** What comes behind a part: further parts, of which one does not see the other, and the scripts that need no other part. */
interface Block {
  readonly parts: Map<string, Block>
  readonly functions: string[]
}

/**
 * All scripts are one library, named by its content, so two releases do not disturb each other: parts nest along the ways of the scripts,
 * so that each is there once. A script is the body of a function; what a part keeps for one call it makes anew in `begin_<part>`.
 *
 * Not EVAL: there Redis would run the parts with every call, and making their functions takes 40 µs and more of a call's 60. And not a
 * library for each script: one call is mostly waiting for memory that was last used by the call before.
 */
function place(root: Block, name: string, way: readonly string[], texts: ReadonlyMap<string, string>): void {
  let block = root
  for (const part of way) {
    const inside = block.parts.get(part) ?? { parts: new Map<string, Block>(), functions: [] }
    block.parts.set(part, inside)
    block = inside
  }
  const begins = way.filter((part) => beginOf(part, texts).length > 0).map((part) => `begins['${part}'](KEYS)`)
  const lines = [`scripts['${name}'] = function(KEYS, ARGV)`, ...begins, texts.get(name) ?? '', 'end']
  block.functions.push(lines.join('\n'))
}

/** `NAME = 5` or `A, B = 'x', 1` at the beginning of a line: names of capitals, with literals. */
const CONSTANTS = /^([A-Z][A-Z0-9_]*(?:, [A-Z][A-Z0-9_]*)*) = ((?:'[^'\n]*'|[\d./ ]+)(?:, (?:'[^'\n]*'|[\d./ ]+))*)\n/gm
const GIVES = /^-- Gives:.*(?:\n--   .*)*/m
/** A comment, a text, or a name of capitals that is no field. */
const TOKENS = /--[^\n]*|'(?:[^'\\\n]|\\.)*'|(?<!\.)\b[A-Z][A-Z0-9_]*\b/g

/**
 * The texts with the constants that parts give written out wherever they stand: they then take none of the 200 names for which Lua has room
 * on one way, and are read faster.
 */
function withConstants(texts: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const constants = new Map<string, string>()
  const rest = [...texts].map(([name, text]): readonly [string, string] => {
    const given = new Set(wordsAfter(text, 'Gives'))
    const without = text.replace(CONSTANTS, (line, names: string, values: string) => {
      const all = names.split(', ')
      if (!all.every((constant) => given.has(constant))) return line
      const literals = values.split(', ')
      for (const [i, constant] of all.entries()) constants.set(constant, `(${literals[i] ?? 'nil'})`)
      return ''
    })
    return [name, without]
  })
  const written = (text: string): string => text.replace(TOKENS, (token) => constants.get(token) ?? token)
  const isGiven = (word: string): boolean => !constants.has(word)
  return new Map(rest.map(([name, text]) => [name, withGives(written(text), isGiven)]))
}

/** The text with only those names in its line `-- Gives:` that others still see. */
function withGives(text: string, isGiven: (name: string) => boolean): string {
  const given = wordsAfter(text, 'Gives')
  if (given.every(isGiven)) return text
  return text.replace(GIVES, `-- Gives: ${given.filter(isGiven).join(' ')}`)
}

const linesOf = ({ parts, functions }: Block, texts: ReadonlyMap<string, string>): readonly string[] => [
  ...functions,
  ...[...parts].flatMap(([part, block]) => ['do', ...partLines(part, texts), ...linesOf(block, texts), 'end']),
]

/** A part: the names that it gives to others, and its text, of which others see no more (Lua has room for 200 names on one way). */
function partLines(part: string, texts: ReadonlyMap<string, string>): readonly string[] {
  const text = texts.get(`part-${part}`) ?? ''
  const given = [...wordsAfter(text, 'Library'), ...wordsAfter(text, 'Gives')]
  const begins = beginOf(part, texts)
  const begin = begins.map((name) => `begins['${part}'] = ${name}`)
  const declared = given.length === 0 ? [] : [`local ${given.join(', ')}`]
  return [...declared, 'do', ...begins.map((name) => `local ${name}`), text, ...begin, 'end']
}

/** The function with which a call makes anew what the part keeps for it, if it has one. */
function beginOf(part: string, texts: ReadonlyMap<string, string>): readonly string[] {
  const begin = `begin_${part.replaceAll('-', '_')}`
  return texts.get(`part-${part}`)?.includes(`function ${begin}(`) === true ? [begin] : []
}

/** The words of a head's lines `-- <what>: <words>`, with those that go on below, further in; none when it has no such line. */
export function wordsAfter(text: string, what: string): readonly string[] {
  return linesAfter(text, what).flatMap((line) => line.split(/[\s,]+/).filter((word) => word !== '' && word !== 'none'))
}

/** The parts that a head names: `--   <part>: <names>` below `-- Needs:`. */
const needsOf = (text: string): readonly string[] =>
  linesAfter(text, 'Needs').flatMap((line) => /^ ?([a-z-]+):/.exec(line.trim())?.[1] ?? [])

function linesAfter(text: string, what: string): readonly string[] {
  const found = new RegExp(`^-- ${what}:(.*(?:\\n--   .*)*)`, 'm').exec(text)?.[1] ?? ''
  return found.split('\n').map((line) => line.replace(/^--/, ''))
}
