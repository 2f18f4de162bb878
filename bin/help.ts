/** What `--help` prints of a command: of each flag what it does, what it may be, its default and its environment variables. */
import { defaultTextOf, type OptionSpec } from '../lib/options.js'
import { type Command, otherNames } from './command.js'
import { FILE } from './settings-file.js'

const COLUMNS = 100

export function helpOf(command: Command): string {
  const { name, summary, table, switches = {}, words, more = [] } = command
  const flags = Object.entries(table).flatMap(([option, spec]) => {
    if (spec.flag === undefined) return []
    const names = [spec.flag, ...otherNames(command, option)].map((flag) => `--${flag}`).join(', ')
    return [`  ${names} ${valueOf(spec)}`, ...inLines(spec.help), ...inLines(detailsOf(spec)), '']
  })
  const bare = Object.values(switches).flatMap(({ flag, help }) => [`  --${flag}`, ...inLines(help), ''])
  return [
    `${name}: ${summary}`,
    '',
    `Usage: ${name}${words === undefined ? '' : ` ${words.usage}`} [flags]`,
    ...(words === undefined ? [] : inLines(words.help)),
    '',
    ...flags,
    ...bare,
    `  --config FILE`,
    ...inLines(
      `Settings as JSON, such as { "maxConcurrentTasks": 4 }; without it ${FILE}, where there is one. env: GRAFLOW_CONFIG`,
    ),
    '',
    '  --help, --version',
    '',
    ...more,
    'What is said twice: a flag counts before the environment, that before the file, that before the default.',
  ].join('\n')
}

const valueOf = (spec: OptionSpec): string =>
  spec.oneOf?.join('|') ?? (spec.kind === 'integer' ? 'N' : spec.kind === 'list' ? 'VALUE …' : 'VALUE')

function detailsOf(spec: OptionSpec): string {
  const range =
    spec.kind === 'integer'
      ? [`${spec.min ?? 0} to ${spec.max ?? ''}${spec.unit === undefined ? '' : ` (${spec.unit})`}`]
      : []
  const repeated = spec.kind === 'list' ? ['may be repeated'] : []
  return [
    ...range,
    ...repeated,
    `default: ${defaultTextOf(spec)}`,
    ...(spec.env === undefined ? [] : [`env: ${spec.env.join(', ')}`]),
  ].join('; ')
}

function inLines(text: string): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length >= COLUMNS) lines.push(`      ${word}`)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}
