/**
 * The Lua scripts as Redis gets them: libraries of one function each, of the shared parts that a script's head names and its own text. Files
 * are read when a backend is opened, never at import. docs/redis.md says what the scripts promise; test/redis/heads.test.ts holds each
 * head against its text.
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
  /** The library, as FUNCTION LOAD wants it. */
  readonly source: string
  /** Of the library and its function: the name, and a sha1 of the content. */
  readonly id: string
}

const FOLDER = new URL('./lua/', import.meta.url)

/** Reads and puts together every script there is. Throws INTERNAL where a head names a part that is not there. */
export function loadScripts(folder: URL = FOLDER): ReadonlyMap<string, Script> {
  const texts = new Map<string, string>()
  for (const file of readdirSync(folder)) {
    if (file.endsWith('.lua')) texts.set(file.slice(0, -'.lua'.length), readFileSync(new URL(file, folder), 'utf8'))
  }
  const scripts = new Map<string, Script>()
  for (const [name, text] of texts) if (!name.startsWith('part-')) scripts.set(name, assemble(name, text, texts))
  return scripts
}

/**
 * A library of one function: the parts in the order in which the head names them, then the script as the function's body. What a part keeps
 * for one call it makes anew in `begin_<part>`. Libraries are named by their content, so two releases do not disturb each other.
 *
 * Not EVAL: there Redis would run the parts with every call, and making their functions takes 40 µs and more of a call's 60.
 */
function assemble(name: string, text: string, texts: ReadonlyMap<string, string>): Script {
  const flags = wordsAfter(text, 'Flags')
  const names = wordsAfter(text, 'Uses')
  const parts = names.map((part) => {
    const found = texts.get(`part-${part}`)
    if (found === undefined) throw new GraflowError('INTERNAL', `expected lua/part-${part}.lua, which ${name}.lua uses`)
    return found
  })
  const begins = names
    .filter((part, i) => parts[i]?.includes(`local function begin_${part}(`) === true)
    .map((part) => `begin_${part}(KEYS)`)
  const body = [...parts, 'local function script(KEYS, ARGV)', ...begins, text, 'end'].join('\n')
  const sha = createHash('sha1').update(flags.join(',')).update(body).digest('hex')
  const id = `graflow_${name.replaceAll('-', '_')}_${sha}`
  const listed = flags.map((flag) => `'${flag}'`).join(', ')
  const registered = `redis.register_function{ function_name = '${id}', callback = script, flags = { ${listed} } }`
  return { name, flags, source: `#!lua name=${id}\n${body}\n${registered}`, id }
}

/** The words of a head's line `-- <what>: <words>`; none when it has no such line. */
function wordsAfter(text: string, what: string): readonly string[] {
  const line = new RegExp(`^-- ${what}:(.*)$`, 'm').exec(text)?.[1] ?? ''
  return line.split(/[\s,]+/).filter((word) => word !== '' && word !== 'none')
}
