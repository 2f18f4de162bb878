/** `graflow completion`: the shell itself completes. */
import { spawnSync } from 'node:child_process'
import { command } from '../support/command.js'

/** What bash offers for a command line, its last word being completed. */
async function offers(...words: readonly string[]): Promise<readonly string[]> {
  const { code, out } = await command(['completion', 'bash'])
  expect(code).toBe(0)
  const line = words.map((word) => `'${word}'`).join(' ')
  const script = `${out}\nCOMP_WORDS=(graflow ${line}); COMP_CWORD=${words.length}; _graflow; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], { encoding: 'utf8', cwd: __dirname })
  expect(stderr).toBe('')
  return stdout.trim().split('\n').sort()
}

describe('graflow completion', () => {
  it('completes commands, flags, the words of a flag, and files, in bash', async () => {
    expect(await offers('do')).toEqual(['doctor'])
    expect(await offers('graph', '--fo')).toEqual(['--format'])
    expect(await offers('run', '--redis-k')).toEqual(['--redis-key-prefix'])
    expect(await offers('graph', '--format', 'm')).toEqual(['mermaid'])
    expect(await offers('run', 'completion.t')).toEqual(['completion.test.ts'])
  })

  it('is the same in zsh, by its emulation of bash, and has a form of its own for fish', async () => {
    const [bash, zsh, fish] = await Promise.all(
      ['bash', 'zsh', 'fish'].map(async (shell) => (await command(['completion', shell])).out),
    )
    expect(zsh).toBe(`autoload -U +X bashcompinit && bashcompinit\n${bash ?? ''}`)
    expect(fish).toMatch(/^complete -c graflow -n __fish_use_subcommand -f -a doctor -d 'says what is wrong/m)
    expect(fish).toMatch(
      /^complete -c graflow -n '__fish_seen_subcommand_from graph' -l format -r -a 'text mermaid svg' -d /m,
    )
  })

  it('refuses another shell', async () => {
    expect(await command(['completion', 'bsh'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('expected bash, zsh, fish, got "bsh" (did you mean "bash"?)'),
    })
    expect((await command(['completion'])).code).toBe(2)
  })
})
