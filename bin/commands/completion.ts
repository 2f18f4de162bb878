/** `graflow completion`: a script for the shell that completes commands, flags and the words that some flags take. */
import { GraflowError } from '../../lib/errors.js'
import { didYouMean } from '../../lib/nearest.js'
import { type Command, flagsOf, knownFlags, otherNames } from '../command.js'

const SHELLS = ['bash', 'zsh', 'fish'] as const

/**
 * @param commands by their names, without that of the program
 * @throws GraflowError INVALID_OPTION for another shell
 */
export function completionScript(shell: string, commands: ReadonlyMap<string, Command>): string {
  switch (SHELLS.find((one) => one === shell)) {
    case 'bash':
      return bash(commands)
    case 'zsh':
      return `autoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`
    case 'fish':
      return fish(commands)
    case undefined:
      throw new GraflowError(
        'INVALID_OPTION',
        `expected ${SHELLS.join(', ')}, got ${JSON.stringify(shell)}${didYouMean(shell, SHELLS)}: such as source <(graflow completion bash)`,
      )
  }
}

function bash(commands: ReadonlyMap<string, Command>): string {
  const names = [...commands.keys()]
  const cases = [...commands].map(
    ([name, command]) =>
      `    ${name}) words='${knownFlags(command)
        .map((flag) => `--${flag}`)
        .join(' ')}' ;;`,
  )
  const values = [...valuesOf(commands)].map(
    ([flag, words]) => `    --${flag}) COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$cur")); return ;;`,
  )
  return [
    '# source <(graflow completion bash)',
    '_graflow() {',
    '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" words',
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    COMPREPLY=($(compgen -W '${names.join(' ')}' -- "$cur")); return`,
    '  fi',
    '  case "$prev" in',
    ...values,
    '  esac',
    '  case "${COMP_WORDS[1]}" in',
    ...cases,
    '  esac',
    '  case "$cur" in',
    '    -*) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;',
    '    *) COMPREPLY=($(compgen -f -- "$cur")) ;;',
    '  esac',
    '}',
    'complete -o filenames -F _graflow graflow',
    '',
  ].join('\n')
}

/** Flags that take one of some words, with these. */
function valuesOf(commands: ReadonlyMap<string, Command>): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, readonly string[]>()
  for (const command of commands.values()) {
    for (const [option, flag] of flagsOf(command)) {
      const spec = command.table[option]
      const words = spec?.kind === 'boolean' ? ['true', 'false'] : spec?.oneOf
      if (words !== undefined) values.set(flag, words)
    }
  }
  return values
}

function fish(commands: ReadonlyMap<string, Command>): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const lines = [...commands].flatMap(([name, command]) => {
    const inside = `complete -c graflow -n '__fish_seen_subcommand_from ${name}'`
    const flags = [...flagsOf(command)].flatMap(([option, flag]) => {
      const spec = command.table[option]
      const words = spec?.oneOf === undefined ? '' : ` -a ${quoted(spec.oneOf.join(' '))}`
      const names = [flag, ...otherNames(command, option)]
      return names.map((one) => `${inside} -l ${one} -r${words} -d ${quoted(spec?.help ?? '')}`)
    })
    const bare = Object.values(command.switches ?? {}).map(
      ({ flag, help }) => `${inside} -l ${flag} -d ${quoted(help)}`,
    )
    return [
      `complete -c graflow -n __fish_use_subcommand -f -a ${name} -d ${quoted(command.summary)}`,
      ...flags,
      ...bare,
    ]
  })
  return ['# graflow completion fish | source', ...lines, ''].join('\n')
}
