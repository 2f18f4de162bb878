/** The commands with which operators look at a store and steer it: what each takes. */
import type { Command, Switch, Words } from './command.js'
import {
  DEAD_OPTIONS,
  PAGE_COMMAND_OPTIONS,
  REPORT_OPTIONS,
  RUNS_OPTIONS,
  SIGNAL_OPTIONS,
  WAITS_OPTIONS,
} from './commands/operator-options.js'
import { CONNECTION_OPTIONS } from './commands/options.js'
import type { Run } from './host.js'

type Parts = Pick<Command, 'table' | 'summary'> & Partial<Pick<Command, 'switches' | 'words' | 'more'>>
type EntryOf<E> = (name: string, parts: Parts, run: Run) => readonly [string, E]

const watch: Switch = {
  flag: 'watch',
  help: 'Looks again each second until it is interrupted; with --json a line each time.',
}

const words = (usage: string, help: string, most = 1_000): Words => ({ usage, help, most })

/** In the order of help. */
export function operatorEntries<E>(entry: EntryOf<E>, json: Switch): readonly (readonly [string, E])[] {
  const looking = { json, watch }
  return [
    entry(
      'runs',
      {
        summary: 'lists runs, shows one, and retries, cancels, pauses, resumes or deletes them',
        table: RUNS_OPTIONS,
        switches: looking,
        words: words(
          '[ID | retry|cancel|pause|resume|delete [ID …]]',
          'ID: shows that run. An action is done to the runs with these ids, or to all that match the filter.',
        ),
      },
      async (...given) => (await import('./commands/runs.js')).runsCommand(...given),
    ),
    entry(
      'waits',
      {
        summary: 'says why runs stand still',
        table: WAITS_OPTIONS,
        switches: looking,
        words: words('[ID]', 'ID: only of that run.', 1),
      },
      async (...given) => (await import('./commands/lists.js')).waitsCommand(...given),
    ),
    entry(
      'signal',
      {
        summary: 'answers what a run waits for',
        table: SIGNAL_OPTIONS,
        switches: { json },
        words: words('ID NAME', 'The id of the run, and the name of the signal: graflow waits lists both.', 2),
      },
      async (...given) => (await import('./commands/lists.js')).signalCommand(...given),
    ),
    entry(
      'workers',
      {
        summary: 'lists workers, and asks them to leave',
        table: PAGE_COMMAND_OPTIONS,
        switches: looking,
        words: words('[drain ID …]', 'drain: those workers finish what they have, and end.'),
      },
      async (...given) => (await import('./commands/lists.js')).workersCommand(...given),
    ),
    entry(
      'queues',
      {
        summary: 'lists queues, and pauses or resumes one',
        table: PAGE_COMMAND_OPTIONS,
        switches: { ...looking, ahead: { flag: 'ahead', help: 'With pause: also a queue that nobody knows yet.' } },
        words: words('[pause|resume NAME]', 'pause: nothing of that queue is taken until it is resumed.', 2),
      },
      async (...given) => (await import('./commands/lists.js')).queuesCommand(...given),
    ),
    entry(
      'dead',
      {
        summary: 'lists dead letters, shows one, and replays, deletes or purges them',
        table: DEAD_OPTIONS,
        switches: looking,
        words: words(
          '[show ID | replay|delete|purge [ID …]]',
          'replay: runs the branch again, as a run of its own. purge without an id: all, or those from before --before.',
        ),
      },
      async (...given) => (await import('./commands/lists.js')).deadCommand(...given),
    ),
    entry(
      'builds',
      {
        summary: 'lists builds, and says which are needed no more',
        table: PAGE_COMMAND_OPTIONS,
        switches: looking,
      },
      async (...given) => (await import('./commands/lists.js')).buildsCommand(...given),
    ),
    entry(
      'report',
      {
        summary: 'writes one run as a page: its time by worker, what was late, what failed',
        table: REPORT_OPTIONS,
        switches: { json },
        words: words('ID', 'The id of a run.', 1),
      },
      async (...given) => (await import('./commands/report.js')).reportCommand(...given),
    ),
    entry(
      'top',
      {
        summary: 'shows what goes on, drawn anew each second',
        table: CONNECTION_OPTIONS,
        switches: { json },
        more: ['It ends with q or Ctrl-C. Where the output is no terminal, it shows one look.', ''],
      },
      async (...given) => (await import('./commands/top.js')).topCommand(...given),
    ),
  ]
}
