/**
 * Runs by what no index has: the error that they ended with, and what they wait for. Each run is looked at by itself, so one page looks at about a
 * thousand of those that match the rest of the filter. If there are more of these, it has a cursor, however few runs it found.
 */
import type { Inspector, ListedRun, RunPage, RunQuery } from '../backend/backend.js'
import { outcomeOfRun } from '../engine/driver.js'
import { GraflowError } from '../errors.js'
import type { RunWait } from '../producer/types.js'
import type { WaitReason } from '../producer/wait-reasons.js'

/** Runs that are looked at together; and for one page at most. */
const AT_ONCE = 32
const MOST_LOOKED_AT = 1_024
/** Errors that one error is made of: its causes, and those of the members of a group. */
const MOST_ERRORS = 500

/** What is given must all hold. */
export interface Sift {
  /** A code or name. */
  readonly error?: string
  /** Words of the message, in any order. */
  readonly message?: string
  readonly why?: readonly WaitReason[]
}

export interface SiftServices {
  readonly backend: { readonly inspect: Pick<Inspector, 'run' | 'runs'> }
  readonly waitsOf: (runId: string) => Promise<readonly RunWait[]>
}

/** Lists runs as the store does, without those that do not match. */
export const sifted = (services: SiftServices, sift: Sift): Pick<Inspector, 'runs'> => ({
  runs: (query) => siftedPage(services, sift, query),
})

async function siftedPage(services: SiftServices, sift: Sift, query: RunQuery): Promise<RunPage> {
  const { inspect } = services.backend
  const items: ListedRun[] = []
  let { after } = query
  for (let looked = 0; looked < MOST_LOOKED_AT; looked += AT_ONCE) {
    const page = await inspect.runs({ ...query, limit: AT_ONCE, ...(after !== undefined && { after }) })
    const isWanted = await Promise.all(page.items.map((run) => matches(services, sift, run)))
    for (const [i, run] of page.items.entries()) {
      if (isWanted[i] === true) items.push(run)
      const isLast = page.after === undefined && i === page.items.length - 1
      if (items.length === query.limit && !isLast) return { items, after: run.position }
    }
    after = page.after
    if (after === undefined) break
  }
  return { items, ...(after !== undefined && { after }) }
}

async function matches({ backend, waitsOf }: SiftServices, sift: Sift, { runId }: ListedRun): Promise<boolean> {
  const { error, message, why } = sift
  if (why !== undefined) return (await waitsOr(waitsOf, runId)).some((wait) => why.includes(wait.why))
  const record = await backend.inspect.run(runId)
  if (record === undefined || (record.state !== 'failed' && record.state !== 'cancelled')) return false
  const outcome = outcomeOfRun(record)
  if (!('error' in outcome)) return false
  const errors = [...errorsIn(outcome.error)]
  return (
    (error === undefined || errors.some((one) => isCalled(one, error))) &&
    (message === undefined || errors.some((one) => hasWords(one.message, message)))
  )
}

/** All of the words, in any order and letters, each as a word of the text begins: `clos` is found in `(closed)`, and not in `enclosed`. */
function hasWords(text: string, words: string): boolean {
  const known = text.toLowerCase()
  return words
    .toLowerCase()
    .split(/\s+/u)
    .every((word) => startsOf(known, word).some((at) => at === 0 || !/[\p{L}\p{N}]/u.test(known[at - 1] ?? '')))
}

function startsOf(text: string, word: string): readonly number[] {
  const starts: number[] = []
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    starts.push(at)
    if (word === '') break
  }
  return starts
}

/** What the run waits for; nothing where it is gone. */
export async function waitsOr(waitsOf: SiftServices['waitsOf'], runId: string): Promise<readonly RunWait[]> {
  try {
    return await waitsOf(runId)
  } catch (error) {
    if (error instanceof GraflowError && (error.code === 'RUN_NOT_FOUND' || error.code === 'NO_GRAPH')) return []
    throw error
  }
}

/** The error, its causes, and the errors that it is made of, each once. */
function errorsIn(error: Error): ReadonlySet<Error> {
  const found = new Set<Error>([error])
  for (const one of found) {
    const { cause, errors } = one as { readonly cause?: unknown; readonly errors?: unknown } // where they have some
    for (const next of [cause, ...(Array.isArray(errors) ? (errors as readonly unknown[]) : [])])
      if (next instanceof Error && found.size < MOST_ERRORS) found.add(next)
  }
  return found
}

const isCalled = (error: Error, called: string): boolean =>
  error.name === called || ('code' in error && error.code === called)
