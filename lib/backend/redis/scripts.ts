/**
 * The Lua scripts as Redis gets them: flags, the shared parts that a script's head names, its own text, and the digest of it all. Files
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
  readonly source: string
  /** Of the source, as EVALSHA wants it. */
  readonly sha: string
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

/** Flags first, as Redis demands; then the parts in the order in which the head names them; then the script. */
function assemble(name: string, text: string, texts: ReadonlyMap<string, string>): Script {
  const flags = wordsAfter(text, 'Flags')
  const parts = wordsAfter(text, 'Uses').map((part) => {
    const found = texts.get(`part-${part}`)
    if (found === undefined) throw new GraflowError('INTERNAL', `expected lua/part-${part}.lua, which ${name}.lua uses`)
    return found
  })
  const first = flags.length === 0 ? '#!lua' : `#!lua flags=${flags.join(',')}`
  const source = [first, ...parts, text].join('\n')
  return { name, flags, source, sha: createHash('sha1').update(source).digest('hex') }
}

/** The words of a head's line `-- <what>: <words>`; none when it has no such line. */
function wordsAfter(text: string, what: string): readonly string[] {
  const line = new RegExp(`^-- ${what}:(.*)$`, 'm').exec(text)?.[1] ?? ''
  return line.split(/[\s,]+/).filter((word) => word !== '' && word !== 'none')
}
