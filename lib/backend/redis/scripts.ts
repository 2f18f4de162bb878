/**
 * The Lua scripts as Redis gets them: one library with a function for each, and the shared parts that their heads name. Files are read when
 * a backend is opened, never at import. docs/redis.md says what the scripts promise; test/redis/heads.test.ts holds each head against its
 * text.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { GraflowError } from '../../errors.js'

/** All scripts, by the name of their file in lua/. */
export const SCRIPT_NAMES = Object.freeze([
  'acquire',
  'channel-change',
  'channel-read',
  'channel-write',
  'control',
  'groups',
  'open',
  'open-full',
  'outcomes',
  'queues',
  'session',
  'sessions',
  'settle',
  'step',
  'step-full',
  'sweep',
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

const FOLDER = new URL('./lua/', import.meta.url)

/** Reads and puts together every script there is. Throws INTERNAL where a head names a part that is not there. */
export function loadScripts(folder: URL = FOLDER): ReadonlyMap<string, Script> {
  const texts = new Map<string, string>()
  for (const file of readdirSync(folder).sort()) {
    if (file.endsWith('.lua')) texts.set(file.slice(0, -'.lua'.length), readFileSync(new URL(file, folder), 'utf8'))
  }
  const root: Block = { parts: new Map(), functions: [] }
  const names = [...texts.keys()].filter((name) => !name.startsWith('part-'))
  for (const name of names) place(root, name, texts)
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
  const source = [`#!lua name=graflow_${sha}`, 'local scripts = {}', body, ...registered].join('\n')
  return new Map(names.map((name) => [name, { name, flags: flagsOf(name), source, id: idOf(name) }]))
}

/** What comes behind a part: further parts, of which one does not see the other, and the scripts that need no other part. */
interface Block {
  readonly parts: Map<string, Block>
  readonly functions: string[]
}

/**
 * All scripts are one library, named by its content, so two releases do not disturb each other: parts nest in the order in which heads name
 * them, so that each is there once, and Lua's limit of 200 names goes for one way down. A script is the body of a function; what a part
 * keeps for one call it makes anew in `begin_<part>`.
 *
 * Not EVAL: there Redis would run the parts with every call, and making their functions takes 40 µs and more of a call's 60. And not a
 * library for each script: one call is mostly waiting for memory that was last used by the call before.
 */
function place(root: Block, name: string, texts: ReadonlyMap<string, string>): void {
  let block = root
  const parts = wordsAfter(texts.get(name) ?? '', 'Uses')
  for (const part of parts) {
    if (!texts.has(`part-${part}`)) {
      throw new GraflowError('INTERNAL', `expected lua/part-${part}.lua, which ${name}.lua uses`)
    }
    const inside = block.parts.get(part) ?? { parts: new Map<string, Block>(), functions: [] }
    block.parts.set(part, inside)
    block = inside
  }
  const begins = parts
    .filter((part) => texts.get(`part-${part}`)?.includes(`local function begin_${part}(`) === true)
    .map((part) => `begin_${part}(KEYS)`)
  const lines = [`scripts['${name}'] = function(KEYS, ARGV)`, ...begins, texts.get(name) ?? '', 'end']
  block.functions.push(lines.join('\n'))
}

const linesOf = ({ parts, functions }: Block, texts: ReadonlyMap<string, string>): readonly string[] => [
  ...functions,
  ...[...parts].flatMap(([part, block]) => ['do', texts.get(`part-${part}`) ?? '', ...linesOf(block, texts), 'end']),
]

/** The words of a head's line `-- <what>: <words>`; none when it has no such line. */
function wordsAfter(text: string, what: string): readonly string[] {
  const line = new RegExp(`^-- ${what}:(.*)$`, 'm').exec(text)?.[1] ?? ''
  return line.split(/[\s,]+/).filter((word) => word !== '' && word !== 'none')
}
