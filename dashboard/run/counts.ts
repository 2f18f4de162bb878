/** Counts of branches as people read them: with a sign and a word each. */
import { count } from '../format.js'
import type { Mark } from '../parts/state.js'
import type { Counts } from './graph-state.js'

export interface CountSign {
  readonly of: keyof Counts
  readonly sign: string
  readonly word: string
  readonly mark: Mark
}

/** In the order in which they are shown. */
export const COUNT_SIGNS: readonly CountSign[] = [
  { of: 'succeeded', sign: '✓', word: 'succeeded', mark: 'succeeded' },
  { of: 'failed', sign: '✕', word: 'failed', mark: 'failed' },
  { of: 'dead', sign: '☠', word: 'dead', mark: 'dead' },
  { of: 'running', sign: '◐', word: 'running', mark: 'running' },
  { of: 'delayed', sign: '↻', word: 'delayed', mark: 'retrying' },
  { of: 'ready', sign: '○', word: 'ready', mark: 'waiting' },
  { of: 'withdrawn', sign: '–', word: 'withdrawn', mark: 'cancelled' },
]

/** `1 203 succeeded, 4 failed`. */
export function countsText(counts: Counts): string {
  const said = COUNT_SIGNS.filter(({ of }) => counts[of] > 0).map(({ of, word }) => `${count(counts[of])} ${word}`)
  return said.length === 0 ? 'no branches' : said.join(', ')
}
