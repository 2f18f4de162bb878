/** All commands of `graflow` by their names: what each takes, and what it does. What a command needs is loaded when it is called. */
import { EXPORTER_OPTIONS } from '../lib/options.js'
import type { Command, Switch, Words } from './command.js'
import {
  CONFIG_BORROWED,
  CONFIG_OPTIONS,
  CONNECTION_OPTIONS,
  DEV_OPTIONS,
  GRAPH_OPTIONS,
  RUN_COMMAND_OPTIONS,
  SERVE_OPTIONS,
  SHARED_FILE,
  WORKER_ALIASES,
} from './commands/options.js'
import { EXIT_CODES } from './exit-codes.js'
import type { Run } from './host.js'
import { operatorEntries } from './operator-commands.js'
import { versionOf } from './version.js'

/** A command with what it does. */
export interface Entry {
  readonly command: Command
  readonly run: Run
}

const json: Switch = { flag: 'json', help: 'Writes JSON, for programs.' }

const files: Words = {
  usage: '[FILE …]',
  help: 'FILE: a task module, such as ./tasks.mjs; without one those of "tasks" in the settings.',
  most: 100,
}

type Parts = Pick<Command, 'table' | 'summary'> &
  Partial<Pick<Command, 'switches' | 'words' | 'more' | 'section' | 'borrowed'>>

function entriesOf(version: string): ReadonlyMap<string, Entry> {
  const entry = (name: string, parts: Parts, run: Run): readonly [string, Entry] => {
    const own = { name: `graflow ${name}`, aliases: WORKER_ALIASES, section: name, version, others: SHARED_FILE }
    return [name, { command: { ...own, ...parts }, run }]
  }
  return new Map([
    entry(
      'run',
      {
        summary: 'runs a flow of a task module, and prints its result',
        table: RUN_COMMAND_OPTIONS,
        switches: {
          json,
          embedded: { flag: 'embedded', help: 'Runs everything in this process, whatever address of Redis is set.' },
        },
        words: files,
        more: ['Without an address of Redis, everything runs in this process.', ''],
      },
      async (...given) => (await import('./commands/run.js')).runCommand(...given),
    ),
    entry(
      'submit',
      {
        summary: 'hands a flow to the workers, and prints the id of its run',
        table: RUN_COMMAND_OPTIONS,
        switches: { json, wait: { flag: 'wait', help: 'Shows its progress until it is over, and prints its result.' } },
        words: files,
      },
      async (...given) => (await import('./commands/run.js')).submitCommand(...given),
    ),
    entry(
      'graph',
      {
        summary: 'shows the flows of a task module, as text or drawing',
        table: GRAPH_OPTIONS,
        switches: { json },
        words: files,
      },
      async (...given) => (await import('./commands/graph.js')).graphCommand(...given),
    ),
    entry(
      'config',
      {
        summary: 'shows the settings in force, and where each comes from',
        table: CONFIG_OPTIONS,
        switches: { json },
        section: 'worker',
        borrowed: CONFIG_BORROWED,
        more: [
          'They are those that graflow-worker has with the same flags; apiKey is the one of the exporter; workers, run and input are those of dev.',
          '',
        ],
      },
      async (...given) => (await import('./commands/config.js')).configCommand(...given),
    ),
    entry(
      'doctor',
      {
        summary: 'says what is wrong with a Redis, and what to change',
        table: CONNECTION_OPTIONS,
        switches: { json, strict: { flag: 'strict', help: 'Ends with 1 for a warning, too.' } },
      },
      async (...given) => (await import('./commands/doctor.js')).doctorCommand(...given),
    ),
    ...operatorEntries(entry, json),
    entry(
      'exporter',
      {
        summary: 'serves metrics and the numbers for autoscaling, without a worker',
        table: EXPORTER_OPTIONS,
      },
      async (...given) => (await import('./commands/exporter.js')).exporterCommand(...given),
    ),
    entry(
      'serve',
      {
        summary: 'serves the control plane: the HTTP API and the dashboard',
        table: SERVE_OPTIONS,
        switches: {
          insecure: { flag: 'insecure', help: 'Listens beyond loopback without a key: all who reach it may do all.' },
        },
        more: ['It shows every run of its key prefix, and needs no code. Beyond loopback it wants a key.', ''],
      },
      async (...given) => (await import('./commands/serve.js')).serveCommand(...given),
    ),
    entry(
      'init',
      {
        summary: 'writes a first task module and its settings into this folder',
        table: CONNECTION_OPTIONS,
        switches: {
          json,
          typescript: { flag: 'typescript', help: 'Writes TypeScript, as it does where there is a tsconfig.json.' },
        },
      },
      async (...given) => (await import('./commands/init.js')).initCommand(...given),
    ),
    entry(
      'dev',
      {
        summary: 'starts a Redis, a dashboard, and workers that reload when a task module changes',
        table: DEV_OPTIONS,
        switches: {
          embedded: { flag: 'embedded', help: 'Starts no Redis and no workers: the run stays in one process.' },
          open: { flag: 'open', help: 'Opens the dashboard in the browser.' },
        },
        words: files,
        more: [
          'Without an address of Redis it starts a private one, if a redis-server or valkey-server is on PATH.',
          '',
        ],
      },
      async (...given) => (await import('./commands/dev.js')).devCommand(...given),
    ),
    entry(
      'completion',
      {
        summary: 'prints a script with which a shell completes commands and flags',
        table: CONNECTION_OPTIONS,
        words: { usage: 'bash|zsh|fish', help: 'Such as source <(graflow completion bash).', most: 1 },
      },
      completionCommand,
    ),
  ])
}

/** Completes what stands here. */
const completionCommand: Run = async ({ words }, host) => {
  const { completionScript } = await import('./commands/completion.js')
  const commands = new Map([...COMMANDS].map(([name, { command }]) => [name, command]))
  host.out.write(completionScript(words[0] ?? '', commands))
  return EXIT_CODES.done.code
}

/** By their names, in the order of help. */
export const COMMANDS = entriesOf(versionOf())
