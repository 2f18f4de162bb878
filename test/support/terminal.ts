/**
 * A real terminal with a shell in it: tmux where it is installed, else `script`. What is typed goes through a pseudo-terminal, so programs see
 * one, and Ctrl-C is a signal.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './waits.js'

const has = (program: string, flag: string): boolean => spawnSync(program, [flag]).error === undefined

/** The program that makes terminals here; undefined where there is none. */
export const terminalProgram: 'tmux' | 'script' | undefined = has('tmux', '-V')
  ? 'tmux'
  : has('script', '--version')
    ? 'script'
    : undefined

export const CTRL_C = '\u0003'

/** A shell in a terminal of 120 columns; `end` it. */
export class Terminal {
  readonly #folder = mkdtempSync(join(tmpdir(), 'graflow-terminal-'))
  readonly #log = join(this.#folder, 'log')
  readonly #name = `graflow-${process.pid}-${Math.random().toString(36).slice(2)}`
  #script: ChildProcess | undefined

  /** @param env all variables of the shell */
  constructor(cwd: string, env: Readonly<Record<string, string>>) {
    writeFileSync(this.#log, '')
    const words = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    if (terminalProgram === 'tmux') {
      const size = ['-x', '120', '-y', '40']
      this.#tmux('new-session', '-d', ...size, '-s', 't', '-c', cwd, 'env', '-i', ...words, '/bin/sh')
      this.#tmux('pipe-pane', '-t', 't', `cat >> ${this.#log}`)
    } else {
      const shell = ['env', '-i', ...words.map((word) => `'${word}'`), '/bin/sh'].join(' ')
      this.#script = spawn('script', ['-qfc', shell, this.#log], { cwd, stdio: ['pipe', 'ignore', 'ignore'] })
    }
  }

  /** All that the terminal was sent, with its control codes. */
  get output(): string {
    return readFileSync(this.#log, 'utf8')
  }

  /** What is on the screen now; of `script`, which has none, all output without its control codes. */
  get screen(): string {
    if (terminalProgram === 'tmux') return this.#tmux('capture-pane', '-p', '-t', 't')
    return this.output.replace(/\u001b\[[\d;?]*[A-Za-z]|\r/g, '')
  }

  /** The same with its colours; only of tmux. */
  get coloured(): string {
    return this.#tmux('capture-pane', '-e', '-p', '-t', 't')
  }

  /** Types a line, or a control character. */
  type(text: string): void {
    if (this.#script !== undefined) this.#script.stdin?.write(text === CTRL_C ? text : `${text}\n`)
    else if (text === CTRL_C) this.#tmux('send-keys', '-t', 't', 'C-c')
    else {
      this.#tmux('send-keys', '-t', 't', '-l', text)
      this.#tmux('send-keys', '-t', 't', 'Enter')
    }
  }

  /** Resolves when the output has a match behind the place that was reached before; moves on to its end. */
  async sees(pattern: RegExp, withinMs = 15_000): Promise<void> {
    const isThere = (): boolean => {
      const found = pattern.exec(this.output.slice(this.#seen))
      if (found === null) return false
      this.#seen += found.index + found[0].length
      return true
    }
    await until(isThere, () => `${String(pattern)} in the terminal, got:\n${this.output.slice(this.#seen)}`, withinMs)
  }
  #seen = 0

  end(): void {
    if (this.#script !== undefined) this.#script.kill('SIGHUP')
    else this.#tmux('kill-server')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #tmux(...words: readonly string[]): string {
    const { stdout, stderr, status } = spawnSync('tmux', ['-L', this.#name, '-f', '/dev/null', ...words], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`tmux ${words.join(' ')}: ${stderr}`)
    return stdout
  }
}
