/** Values and errors of a run as a report shows them: text, bounded. */
import { inspect } from 'node:util'
import type { RunRecord } from '../backend/backend.js'
import type { Engine } from '../engine/engine.js'
import type { RunStep } from '../producer/types.js'
import type { ReportError, ReportFailure, ReportValue } from '../report/report.js'
import { readValue } from './run-values.js'

const MOST_TEXT = 2_000
const MOST_STACK = 4_000
const MOST_CAUSES = 8
/** Steps of which values are shown: the first and the last. */
const MOST_STEPS = 20
/** Branches: those that failed, those of which inputs are shown, and all. */
const MOST_FAILED = 12
const MOST_INPUTS = 24
const MOST_SHOWN = 300

/** A value as people read it, at most so long. */
export const valueText = (value: unknown): string =>
  cut(
    inspect(value, { depth: 6, maxArrayLength: 40, maxStringLength: 400, breakLength: 100, getters: false }),
    MOST_TEXT,
  )

/** Of whatever was thrown. */
export function errorOf(thrown: unknown): ReportError {
  const { name, message, stack, code } = (
    typeof thrown === 'object' && thrown !== null ? thrown : { message: thrown }
  ) as {
    readonly [K in 'name' | 'message' | 'stack' | 'code']?: unknown
  }
  const causes = causesOf(thrown)
  return {
    ...{ name: textOf(name, 'Error'), message: cut(textOf(message, ''), MOST_TEXT) },
    ...(typeof code === 'string' && { code }),
    ...(typeof stack === 'string' && { stack: cut(innermostStack(thrown) ?? stack, MOST_STACK) }),
    ...(causes.length > 0 && { causes }),
  }
}

/** Of a branch. @param error undefined where no worker reported one */
export const branchErrorOf = (error: unknown): ReportError =>
  errorOf(
    error ?? { name: 'Error', message: 'its workers were lost, or it was past its deadline: no worker said more' },
  )

/** The stack of the error that began it: that is where the fault is. */
function innermostStack(thrown: unknown): string | undefined {
  let stack: string | undefined
  for (let at = thrown, depth = 0; at instanceof Error && depth < MOST_CAUSES; at = at.cause, depth += 1)
    stack = at.stack ?? stack
  return stack
}

function causesOf(thrown: unknown): readonly string[] {
  const causes: string[] = []
  for (let at = thrown instanceof Error ? thrown.cause : undefined; at instanceof Error; at = at.cause) {
    if (causes.length === MOST_CAUSES) break
    causes.push(cut(`${at.name}: ${at.message}`, MOST_TEXT))
  }
  return causes
}

/** What went into the run, and in and out of its steps. */
export async function valuesOf(
  engine: Engine,
  record: RunRecord,
  steps: readonly RunStep[],
): Promise<readonly ReportValue[]> {
  const half = MOST_STEPS / 2
  const shown = steps.length <= MOST_STEPS ? steps : [...steps.slice(0, half), ...steps.slice(-half)]
  const places = [{ path: '', task: 'input of the run' }, ...shown.map(({ path, task }) => ({ path, task }))]
  const values = await Promise.all(
    places.map(async ({ path, task }): Promise<ReportValue> => {
      const [input, output] = await Promise.all([
        textAt(engine, record, path, 'input'),
        path === '' ? undefined : textAt(engine, record, path, 'output'),
      ])
      return { path, task, ...(input !== undefined && { input }), ...(output !== undefined && { output }) }
    }),
  )
  return values.filter(({ input, output }) => input !== undefined || output !== undefined)
}

/** Of the branches of all groups: what the first that failed got, and what was shown of the others, with what the first of these got. */
export async function withInputs(
  engine: Engine,
  record: RunRecord,
  groups: readonly { readonly failures: readonly ReportFailure[]; readonly values: readonly ReportValue[] }[],
): Promise<readonly ReportValue[]> {
  const failed = groups.flatMap(({ failures }) => failures).slice(0, MOST_FAILED)
  const shown: ReportValue[] = failed.map(({ path, task, label }) => ({
    ...{ path, task },
    ...(label !== undefined && { label }),
  }))
  for (const { values } of groups) shown.push(...values)
  const found: ReportValue[] = []
  // One after the other: each may have to decode the input of its group.
  for (const [i, value] of shown.slice(0, MOST_SHOWN).entries()) {
    const input = i < MOST_INPUTS ? await textAt(engine, record, value.path, 'input') : undefined
    const whole = { ...value, ...(input !== undefined && { input }) }
    if (whole.input !== undefined || whole.output !== undefined) found.push(whole)
  }
  return found
}

/** Undefined where it is not kept, or there is none yet. */
async function textAt(
  engine: Engine,
  record: RunRecord,
  path: string,
  which: 'input' | 'output',
): Promise<string | undefined> {
  try {
    return valueText(await readValue(engine, record, path, which))
  } catch {
    return undefined // a step that failed has an error instead
  }
}

const textOf = (value: unknown, instead: string): string =>
  typeof value === 'string' ? value : value === undefined ? instead : valueText(value)

const cut = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most)}… (${text.length - most} characters more)`
