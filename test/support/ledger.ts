/**
 * What handlers in other processes tell a test, in the order in which it happened, and gates by which the test holds them. It is a folder:
 * each note is one write at the end of one file, so it survives the kill -9 of its writer and comes from nothing that is under test.
 */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { elapse, pollMs, until } from './waits.js'

/** One thing that a handler did. */
export interface Note {
  readonly what: string
  /** Of the process that wrote it. */
  readonly pid: number
  /** Milliseconds by the machine's monotonic clock, the same in all its processes. */
  readonly at: number
  readonly details: Readonly<Record<string, unknown>>
}

/** Environment variable by which a process finds the folder. */
const FOLDER = 'GRAFLOW_TEST_LEDGER'

/** Milliseconds by the clock of `Note.at`. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6

/** The test's side. */
export class Ledger {
  readonly #folder = mkdtempSync(join(tmpdir(), 'graflow-ledger-'))
  /** Of the file, as far as it has been read: whoever waits asks again and again. */
  readonly #notes: Note[] = []
  #readBytes = 0

  constructor() {
    writeFileSync(this.#file, '')
  }

  /** What a process gets so that its handlers find the ledger. */
  get env(): Readonly<Record<string, string>> {
    return { [FOLDER]: this.#folder }
  }

  get #file(): string {
    return join(this.#folder, 'notes')
  }

  /** All notes so far, or those that say `what`. */
  notes(what?: string): readonly Note[] {
    if (statSync(this.#file).size > this.#readBytes) this.#read()
    return this.#notes.filter((note) => what === undefined || note.what === what)
  }

  /** What was added since; the end of a line that is being written stays for the next time. */
  #read(): void {
    const added = readFileSync(this.#file).subarray(this.#readBytes)
    const whole = added.subarray(0, added.lastIndexOf('\n') + 1)
    this.#readBytes += whole.length
    for (const line of whole.toString('utf8').split('\n').slice(0, -1)) this.#notes.push(JSON.parse(line) as Note)
  }

  /** Resolves with the notes that say `what` when there are `count` of them; rejects with all notes when that takes too long. */
  async until(what: string, count = 1, withinMs = 10_000): Promise<readonly Note[]> {
    let found: readonly Note[] = []
    const all = (): string =>
      this.notes()
        .map((note) => `${note.at.toFixed(0)} ${note.pid} ${note.what} ${JSON.stringify(note.details)}`)
        .join('\n')
    const isThere = (): boolean => {
      found = this.notes(what)
      return found.length >= count
    }
    await until(isThere, () => `${count} × '${what}', got ${found.length}:\n${all()}`, withinMs)
    return found
  }

  /** Lets those pass who wait, or will wait, at the gate. */
  open(gate: string): void {
    writeFileSync(join(this.#folder, `gate-${gate}`), '')
  }

  /** Safe to repeat. */
  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const folder = (): string => {
  const found = process.env[FOLDER]
  if (found === undefined) throw new Error(`expected ${FOLDER} in the environment`)
  return found
}

/** For handlers: tells the test that something happened. */
export function note(what: string, details: Readonly<Record<string, unknown>> = {}): void {
  const written: Note = { what, pid: process.pid, at: monotonicMs(), details }
  appendFileSync(join(folder(), 'notes'), `${JSON.stringify(written)}\n`)
}

/** For handlers: whether the test has opened the gate; never where there is no ledger. */
export const isOpened = (gate: string): boolean => {
  const found = process.env[FOLDER]
  return found !== undefined && existsSync(join(found, `gate-${gate}`))
}

/** For handlers: waits until the test opens the gate; rejects when the signal fires. */
export async function passGate(gate: string, signal?: AbortSignal): Promise<void> {
  const file = join(folder(), `gate-${gate}`)
  const from = performance.now()
  while (!existsSync(file)) {
    signal?.throwIfAborted()
    await elapse(pollMs(performance.now() - from))
  }
}
