/** Applies the schemas of tasks, any Standard Schema (https://standardschema.dev), and says in one error what does not fit. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { describe, messageOf } from '../describe.js'
import { GraflowError } from '../errors.js'
import { type Clock, withDeadline } from '../time.js'
import { askable } from '../values/error-record.js'

/** A segment of a schema's path: a key, or an object that has it. A schema is not trusted to keep to that. */
function textOfSegment(segment: unknown): string {
  const key: unknown = typeof segment === 'object' && segment !== null && 'key' in segment ? segment.key : segment
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'symbol' ? String(key) : describe(key)
}

/**
 * What a schema makes of a task's input or output.
 * @param at the path of the task in the run
 * @throws GraflowError INVALID_INPUT, INVALID_OUTPUT
 */
export function validate(
  schema: StandardSchemaV1,
  value: unknown,
  code: 'INVALID_INPUT' | 'INVALID_OUTPUT',
  task: string,
  at: () => string,
  what: string,
): Promise<unknown> {
  return parsed(schema, value, (faults, issues) => {
    const path = at()
    return new GraflowError(code, `the ${what} of task "${task}" (at ${path}) does not fit its schema: ${faults}`, {
      details: { task, path, issues },
    })
  })
}

/** What the schema of a wait makes of the payload of a signal. @throws GraflowError INVALID_INPUT */
export const checkPayload = (schema: StandardSchemaV1, payload: unknown, signal: string): Promise<unknown> =>
  parsed(
    schema,
    payload,
    (faults, issues) =>
      new GraflowError(
        'INVALID_INPUT',
        `the payload of the signal "${signal}" does not fit the schema of its wait: ${faults}`,
        { details: { signal, issues } },
      ),
  )

/** A schema may ask something far away. */
const MOST_LOOKING_MS = 5_000

/**
 * What a look at a value gives that only spares somebody a run or wait which refuses the value itself: a schema that takes too long keeps nobody waiting.
 */
export const unlessSlow = <T>(clock: Clock, look: Promise<T>, otherwise: T): Promise<T> =>
  withDeadline(clock, MOST_LOOKING_MS, look, () => otherwise)

/** What does not fit a schema; empty where all does. Rejects with what the schema itself throws. */
export async function faultsIn(schema: StandardSchemaV1, value: unknown): Promise<readonly Issue[]> {
  const { issues = [] } = await schema['~standard'].validate(value)
  return issues.slice(0, MOST_ISSUES).map(issueOf)
}

/** Of more the first are told. */
const MOST_ISSUES = 20

async function parsed(
  schema: StandardSchemaV1,
  value: unknown,
  refusal: (faults: string, issues: readonly Issue[]) => GraflowError,
): Promise<unknown> {
  let issues: readonly Issue[]
  try {
    const result = await schema['~standard'].validate(value)
    if (result.issues === undefined) return result.value
    issues = result.issues.slice(0, MOST_ISSUES).map(issueOf)
  } catch (thrown) {
    throw askable(thrown) // the schema's own error
  }
  throw refusal(faultsOf(issues), issues)
}

/** What a schema finds wrong, as an error's details say it. */
export interface Issue {
  readonly message: string
  /** Of what does not fit, such as `items.0.id`; '' is all of it. */
  readonly path: string
}

/** What a schema found wrong, of an error that says so; undefined of any other. */
export const issuesOf = (error: unknown): readonly Issue[] | undefined =>
  error instanceof GraflowError && error.code === 'INVALID_INPUT' && Array.isArray(error.details['issues'])
    ? (error.details['issues'] as readonly Issue[]) // as `parsed` makes them
    : undefined

/** The same in one line. */
export const faultsOf = (issues: readonly Issue[]): string =>
  issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ')

const issueOf = (issue: StandardSchemaV1.Issue): Issue => ({
  message: messageOf(issue),
  path: (issue.path ?? []).map(textOfSegment).join('.'),
})
