/** What a run's start asked for, as the store keeps it: JSON, of which only what this release knows is read. */
import type { RunTerms } from '../../backend.js'

/** Empty where nothing was asked. */
export const encodeTerms = (terms: RunTerms | undefined): string =>
  terms === undefined || Object.keys(terms).length === 0 ? '' : JSON.stringify(terms)

/** What cannot be read was not asked: the run goes on as any other. */
export function decodeTerms(text: string): RunTerms {
  if (text === '') return {}
  try {
    return termsIn(JSON.parse(text))
  } catch {
    return {}
  }
}

/** The same of what is no text any more. */
export function termsIn(found: unknown): RunTerms {
  if (typeof found !== 'object' || found === null) return {}
  const { queue, priority, durability } = found as Readonly<Record<string, unknown>> // whatever they hold: each is looked at
  return {
    ...(typeof queue === 'string' && { queue }),
    ...(typeof priority === 'number' && { priority }),
    ...((durability === 'fsync' || durability === 'replica') && { durability }),
  }
}
