/** Parses the command line: the command, or the problem with it. */
import { readFlags } from '../support/flags.js'

export type Command =
  | {
      readonly kind: 'audit'
      readonly directory: string
      readonly isJson: boolean
      /** Undefined: one per processor if there is a server. */
      readonly workers: number | undefined
      /** Where to write a report of the run; undefined for none. */
      readonly report: string | undefined
    }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly problem: string }

/** In the folder of the caller. */
const REPORT = 'licence-audit.html'

export const HELP = `Lists the licences of all installed packages, the largest of them, and those in several versions.

  npm run demo -- [directory] [--json] [--workers N] [--report]

  directory    a project, or a node_modules folder; this project when there is none
  --json       the whole report as JSON, on standard output
  --workers N  so many worker processes and a private Redis, which needs redis-server on PATH;
               0: all in this process. By default what the machine has
  --report     writes the run as a page, licence-audit.html: its time by worker, what was late
  --help       this

Exit codes: 0 done, 1 there is nothing to audit or the audit failed, 2 the command is wrong, 130 interrupted.
`

export function readCommand(words: readonly string[], here: string): Command {
  const read = readFlags(words, { json: 'switch', workers: 'number', report: 'switch', help: 'switch' })
  if (read.problem !== undefined) return { kind: 'wrong', problem: read.problem }
  const { flags, others } = read
  if (flags.help) return { kind: 'help' }
  const [directory = here, ...more] = others
  if (more.length > 0) return { kind: 'wrong', problem: `one directory at a time, got ${others.join(', ')}` }
  return {
    kind: 'audit',
    directory,
    isJson: flags.json,
    workers: flags.workers,
    report: flags.report ? REPORT : undefined,
  }
}
