/** What the command was asked, or what is wrong with how. */
import { parseArgs } from 'node:util'

export type Command =
  | { readonly kind: 'audit'; readonly directory: string; readonly isJson: boolean }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly problem: string }

export const HELP = `Lists the licences of all installed packages, the largest of them, and those in several versions.

  npm run demo -- [directory] [--json]

  directory    a project, or a node_modules folder; this project when there is none
  --json       the whole report as JSON, on standard output
  --help       this

Exit codes: 0 done, 1 there is nothing to audit or the audit failed, 2 the command is wrong, 130 interrupted.
`

const FLAGS = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const

export function readCommand(words: readonly string[], here: string): Command {
  const { values, positionals, tokens } = parseArgs({
    args: [...words],
    options: FLAGS,
    allowPositionals: true,
    strict: false,
    tokens: true,
  })
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    if (!Object.hasOwn(FLAGS, token.name)) return wrong(`there is no ${token.rawName}${nearest(token.name)}`)
    if (token.value !== undefined) return wrong(`${token.rawName} takes no value`)
  }
  if (values.help === true) return { kind: 'help' }
  const [directory = here, ...more] = positionals
  if (more.length > 0) return wrong(`one directory at a time, got ${positionals.join(', ')}`)
  return { kind: 'audit', directory, isJson: values.json === true }
}

const wrong = (problem: string): Command => ({ kind: 'wrong', problem })

function nearest(name: string): string {
  const [best] = Object.keys(FLAGS)
    .map((flag) => ({ flag, distance: distance(name.toLowerCase(), flag) }))
    .filter(({ flag, distance }) => distance <= Math.ceil(flag.length / 2))
    .sort((a, b) => a.distance - b.distance)
  return best === undefined
    ? `; the flags are ${Object.keys(FLAGS)
        .map((flag) => `--${flag}`)
        .join(' and ')}`
    : `: did you mean --${best.flag}?`
}

/** How many letters differ (Levenshtein 1966). */
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
