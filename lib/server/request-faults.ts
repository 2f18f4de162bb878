/** What is wrong with a value of a request, in the words of all our errors: what was expected, and what was given. */
import type { z } from 'zod'
import { describe } from '../describe.js'

type Issue = z.core.$ZodIssue

/** What stands at a path in a value. A list in a query may be a text with commas. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value
  for (const key of path) {
    if (typeof found === 'string' && typeof key === 'number') found = found.split(',').filter((one) => one !== '')
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined
    found = (found as Record<PropertyKey, unknown>)[key]
  }
  return found
}

/** @param value what stands where the issue is */
export function faultOf(issue: Issue, value: unknown): string {
  if (issue.code === 'custom') return issue.message.includes(', got ') ? issue.message : said(issue.message, value)
  return said(`expected ${wantedBy(issue)}`, value, issue)
}

function said(expected: string, value: unknown, issue?: Issue): string {
  if (value === undefined) return `${expected}, got nothing`
  // of what is too long, its length says more
  const isSize = (issue?.code === 'too_big' || issue?.code === 'too_small') && issue.origin !== 'number'
  const isLong = isSize && (typeof value === 'string' || Array.isArray(value))
  return `${expected}, got ${isLong ? value.length : describe(value)}`
}

const NAMES: Readonly<Record<string, string>> = {
  ...{ string: 'a text', number: 'a number', int: 'a whole number', boolean: 'true or false' },
  ...{ array: 'a list', object: 'an object', record: 'an object' },
}

function wantedBy(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_value': {
      const words = issue.values.map((one) => (typeof one === 'string' ? one : describe(one)))
      return words.length === 1 ? (words[0] ?? '') : `one of ${words.join(', ')}`
    }
    case 'invalid_type':
      return NAMES[issue.expected] ?? issue.expected
    case 'too_big':
      return bound(issue.origin, `at most ${issue.maximum}`)
    case 'too_small':
      return bound(issue.origin, `at least ${issue.minimum}`)
    case 'invalid_format':
      return issue.format === 'datetime'
        ? 'an ISO date with its time zone, such as 2026-11-30T12:00:00Z'
        : `a text of the form ${issue.pattern ?? issue.format}`
    case 'invalid_union':
      return 'one of the forms that GET /openapi.json describes'
    default:
      return `something else (${issue.message})`
  }
}

function bound(origin: string, most: string): string {
  if (origin === 'string') return `${most} characters`
  return origin === 'array' || origin === 'set' ? `${most} in the list` : most
}
