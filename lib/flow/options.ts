/**
 * Checks what users write in options, once, where it is written: unknown keys, ranges, and that it is data. What comes out is a frozen
 * copy with its keys in one order, so that equal options are equal texts.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { GraflowError, lookingAt } from '../errors.js'
import { LONGEST_MS } from '../options.js'
import { describe } from '../describe.js'
import { isNode } from './expression.js'
import type { EachOptions, GroupOptions, TaskOptions, WaitData, WorkflowOptions } from './node-options.js'
import { checkName, type NameKind, optionOf } from './names.js'
import { didYouMean } from '../nearest.js'

const LONGEST_DESCRIPTION = 4_096
const LONGEST_LINE = 256
/** A branch's errors and losses are counted in one byte each, wherever it is stored. */
const MOST_ATTEMPTS = 255
const MOST_LOSSES = 254

/** Keys of an item with dots between, such as `customer.name`. */
const ITEM_PATH = /^[^.]+(?:\.[^.]+)*$/u

/** Gives the value to keep, or throws; `at` says where it stands, such as `task "score": timeoutMs`. */
type Rule = (at: string, value: unknown) => unknown
type Rules = Readonly<Record<string, Rule>>

const RETRY: Rules = {
  attempts: integer(1, MOST_ATTEMPTS, 'starts in all, the first included'),
  delayMs: integer(0, LONGEST_MS, 'milliseconds'),
  factor: number(1, Number.MAX_VALUE, 'each delay is the one before times this'),
  maxDelayMs: integer(0, LONGEST_MS, 'milliseconds'),
  jitter: number(0, 1, 'the share of the delay that is drawn by chance'),
}

const TASK: Rules = {
  retry: record(RETRY),
  timeoutMs: integer(1, LONGEST_MS, 'milliseconds'),
  maxLosses: integer(0, MOST_LOSSES, 'lost workers'),
  maxCycles: integer(1, Number.MAX_SAFE_INTEGER, 'passes'),
  queue: name('queue'),
  requires: names('capability'),
  affinity: name('worker'),
  priority: integer(-100, 100, 'higher first'),
  isolation: oneOf('inline', 'thread'),
}

const GROUP: Rules = {
  timeoutMs: integer(1, LONGEST_MS, 'milliseconds'),
  queue: name('queue'),
  concurrency: integer(1, Number.MAX_SAFE_INTEGER, 'branches in flight at once'),
  name: name('group'),
  onFailure: oneOf('cancel', 'wait'),
}

const EACH: Rules = { ...GROUP, label: itemPath }

const WORKFLOW: Rules = {
  timeoutMs: integer(1, LONGEST_MS, 'milliseconds'),
  description: text(LONGEST_DESCRIPTION),
  pin: boolean,
}

const WAIT: Rules = {
  timeoutMs: integer(1, LONGEST_MS, 'milliseconds'),
  onTimeout: (_at, value) => frozen(value),
  prompt: promptRule({ title: text(LONGEST_LINE), text: text(LONGEST_DESCRIPTION), choices: texts(LONGEST_LINE) }),
}

const LOOP: Rules = { maxCycles: integer(1, Number.MAX_SAFE_INTEGER, 'passes') }

/** What others call an option of a task, and what to write here: the compiler says the same, by `OtherNames` in task.ts. */
const WRITE_INSTEAD: ReadonlyMap<string, string> = new Map([
  ['retries', 'write retry: { attempts: 3 }, which counts the first start, too'],
  ['attempts', 'write retry: { attempts: 3 }'],
  ['backoff', 'write retry: { attempts: 3, delayMs: 100, factor: 2 }'],
  ['timeout', 'write timeoutMs: 5_000'],
  ['concurrency', 'a group has it, each(it).configure({ concurrency: 4 })'],
])

const ONLY_OF_EACH: ReadonlyMap<string, string> = new Map([
  [
    'label',
    'only an each has it, since its branches are items; branches of a par have the names of their tasks or keys',
  ],
])

/** The parts of a task's options: what is data and part of the graph, and the schemas, which stay in this process. */
export interface CheckedTaskOptions {
  readonly options: TaskOptions
  readonly input?: StandardSchemaV1
  readonly output?: StandardSchemaV1
}

/** @throws GraflowError INVALID_OPTION, INVALID_NAME, NOT_SERIALISABLE */
export function checkTaskOptions(task: string, options: unknown): CheckedTaskOptions {
  const where = `task "${task}"`
  return lookingAt(where, 'INVALID_OPTION', () => {
    const { input, output, ...data } = plain(where, options)
    return {
      options: check(where, TASK, data, ['input', 'output']),
      ...(input !== undefined && { input: schema(`${where}: input`, input) }),
      ...(output !== undefined && { output: schema(`${where}: output`, output) }),
    }
  })
}

/** What `.configure()` was given, over what was set before. @throws GraflowError INVALID_OPTION, INVALID_NAME, NOT_SERIALISABLE */
export function checkGroupOptions(before: GroupOptions, options: unknown): GroupOptions {
  const where = 'configure'
  return lookingAt(where, 'INVALID_OPTION', () => check(where, GROUP, { ...before, ...plain(where, options) }))
}

/** The same of an each. @throws GraflowError INVALID_OPTION, INVALID_NAME, NOT_SERIALISABLE */
export function checkEachOptions(before: EachOptions, options: unknown): EachOptions {
  const where = 'configure'
  return lookingAt(where, 'INVALID_OPTION', () => check(where, EACH, { ...before, ...plain(where, options) }))
}

/** @throws GraflowError INVALID_OPTION, NOT_SERIALISABLE */
export function checkWorkflowOptions(workflow: string, options: unknown): WorkflowOptions {
  const where = `workflow "${workflow}"`
  return lookingAt(where, 'INVALID_OPTION', () => check(where, WORKFLOW, plain(where, options)))
}

/** @throws GraflowError INVALID_OPTION, NOT_SERIALISABLE */
export function checkLoopOptions(options: unknown): { readonly maxCycles: number } {
  const { maxCycles } = lookingAt('loop', 'INVALID_OPTION', () =>
    check<{ readonly maxCycles?: number }>('loop', LOOP, plain('loop', options, '{ maxCycles: 10 }')),
  )
  if (maxCycles === undefined) {
    throw new GraflowError(
      'INVALID_OPTION',
      'loop needs maxCycles, after how many passes it fails: loop(body, { maxCycles: 10 })',
    )
  }
  return { maxCycles }
}

/** The parts of a wait's options: what is data and part of the graph, and the schema, which stays in this process. */
export interface CheckedWaitOptions {
  readonly options: WaitData
  readonly schema?: StandardSchemaV1
}

/** @param who waits, such as `waitFor "approve"` @throws GraflowError INVALID_OPTION, NOT_SERIALISABLE */
export function checkWaitOptions(who: string, options: unknown): CheckedWaitOptions {
  return lookingAt(who, 'INVALID_OPTION', () => {
    const { schema: given, ...data } = plain(who, options)
    return {
      options: check(who, WAIT, data, ['schema']),
      ...(given !== undefined && { schema: schema(`${who}: schema`, given) }),
    }
  })
}

/** How long to wait, in milliseconds. @throws GraflowError INVALID_OPTION */
export const checkDelay = (at: string, ms: unknown): number => integer(0, LONGEST_MS, 'milliseconds')(at, ms) as number // it gives what it was given

/** Whether two checked options say the same. Their keys are in one order. */
export function areSameOptions(a: object, b: object): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b)
}

function plain(where: string, options: unknown, example = '{ timeoutMs: 5_000 }'): Readonly<Record<string, unknown>> {
  if (options === undefined) return {}
  if (typeof options !== 'object' || options === null || Array.isArray(options) || isNode(options)) {
    throw new GraflowError(
      'INVALID_OPTION',
      `${where}: options are an object such as ${example}, got ${describe(options)}`,
    )
  }
  return options as Readonly<Record<string, unknown>>
}

function check<T extends object>(where: string, rules: Rules, options: object, alsoKnown: readonly string[] = []): T {
  demandData(where, options)
  // What the rules return has the types that expression.ts declares: test/flow compares the two key by key.
  return applyRules(`${where}: `, '', rules, options as Readonly<Record<string, unknown>>, alsoKnown) as T
}

function applyRules(
  where: string,
  prefix: string,
  rules: Rules,
  options: Readonly<Record<string, unknown>>,
  alsoKnown: readonly string[] = [],
): object {
  const known = [...Object.keys(rules), ...alsoKnown]
  for (const key of Object.keys(options)) {
    if (!Object.hasOwn(rules, key)) {
      const instead = (rules === TASK ? WRITE_INSTEAD : rules === GROUP ? ONLY_OF_EACH : undefined)?.get(key)
      if (instead !== undefined) throw invalid(`${where}there is no option ${key}: ${instead}`, key)
      throw invalid(
        `${where}there is no option ${prefix}${key}${didYouMean(key, known)}; the options are ${known.map((k) => prefix + k).join(', ')}`,
        prefix + key,
      )
    }
  }
  const kept: Record<string, unknown> = {}
  for (const [key, rule] of Object.entries(rules)) {
    const value = options[key]
    if (value !== undefined) kept[key] = rule(`${where}${prefix}${key}`, value)
  }
  return Object.freeze(kept)
}

/** Options become part of the graph, which is data: code, or an object with code, would be lost on the way to a worker. */
function demandData(where: string, options: object): void {
  const above = new Set<object>()
  const visit = (value: unknown, path: string): void => {
    if (typeof value === 'string') {
      if (/\p{Surrogate}/u.test(value)) throw notData(where, path, 'a string with half a character (a lone surrogate)')
      return
    }
    if (typeof value === 'function' || typeof value === 'symbol') throw notData(where, path, describe(value))
    if (typeof value !== 'object' || value === null) return
    if (above.has(value)) throw notData(where, path, 'an object that contains itself')
    const prototype: unknown = Object.getPrototypeOf(value)
    if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null && path !== 'options') {
      throw notData(where, path, describe(value))
    }
    above.add(value)
    for (const key of Reflect.ownKeys(value)) {
      if (typeof key === 'symbol') throw notData(where, path, 'an object with a symbol as a key')
      if (Array.isArray(value) && key === 'length') continue
      visit((value as Readonly<Record<string, unknown>>)[key], `${path}.${key}`)
    }
    above.delete(value)
  }
  visit(options, 'options')
}

function notData(where: string, path: string, what: string): GraflowError {
  return new GraflowError(
    'NOT_SERIALISABLE',
    `${where}: ${path} is ${what}; options travel to the workers as data: pass values in the input, code as a task`,
    { details: { path } },
  )
}

function invalid(message: string, option: string, value?: unknown): GraflowError {
  return new GraflowError('INVALID_OPTION', message, {
    details: { option, ...(value !== undefined && { got: describe(value) }) },
  })
}

function integer(min: number, max: number, unit: string): Rule {
  const range = max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`
  return (at, value) => {
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max)
      return (value as number) + 0
    throw invalid(`${at} must be ${range} (${unit}), got ${describe(value)}`, optionOf(at), value)
  }
}

function number(min: number, max: number, unit: string): Rule {
  const range = max === Number.MAX_VALUE ? `a number of at least ${min}` : `a number from ${min} to ${max}`
  return (at, value) => {
    if (typeof value === 'number' && value >= min && value <= max) return value + 0
    throw invalid(`${at} must be ${range} (${unit}), got ${describe(value)}`, optionOf(at), value)
  }
}

function name(kind: NameKind): Rule {
  return (at, value) => {
    if (typeof value !== 'string')
      throw invalid(`${at} must be the name of a ${kind}, got ${describe(value)}`, optionOf(at), value)
    return checkName(kind, value, at)
  }
}

/** A set of names: the order and repetitions say nothing, so they do not make another graph. */
function names(kind: NameKind): Rule {
  return (at, value) => {
    if (!Array.isArray(value))
      throw invalid(`${at} must be a list of names, such as ['gpu'], got ${describe(value)}`, optionOf(at), value)
    return Object.freeze([...new Set(Array.from(value, (item) => checkName(kind, item, at)))].sort())
  }
}

function oneOf(...allowed: readonly string[]): Rule {
  return (at, value) => {
    if (typeof value === 'string' && allowed.includes(value)) return value
    const meant = typeof value === 'string' ? didYouMean(value, allowed) : ''
    throw invalid(
      `${at} must be ${allowed.map((a) => `"${a}"`).join(' or ')}, got ${describe(value)}${meant}`,
      optionOf(at),
      value,
    )
  }
}

function boolean(at: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw invalid(`${at} must be true or false, got ${describe(value)}`, optionOf(at), value)
}

function text(longest: number): Rule {
  return (at, value) => {
    if (typeof value === 'string' && value.length <= longest) return value
    throw invalid(`${at} must be a text of at most ${longest} characters, got ${describe(value)}`, optionOf(at), value)
  }
}

function itemPath(at: string, value: unknown): unknown {
  if (typeof value === 'string' && value.length <= LONGEST_LINE && ITEM_PATH.test(value)) return value
  throw invalid(
    `${at} must be the key of an item, or keys with dots between, such as "customer.name" (at most ${LONGEST_LINE} characters), got ${describe(value)}`,
    optionOf(at),
    value,
  )
}

function texts(longest: number): Rule {
  const rule = text(longest)
  return (at, value) => {
    if (!Array.isArray(value) || value.length === 0)
      throw invalid(`${at} must be a list of texts, such as ['yes', 'no'], got ${describe(value)}`, optionOf(at), value)
    return Object.freeze(Array.from(value, (item) => rule(at, item)))
  }
}

function promptRule(rules: Rules): Rule {
  const rule = record(rules)
  return (at, value) => {
    const prompt = rule(at, value) as { readonly title?: string }
    if (prompt.title !== undefined) return prompt
    throw invalid(`${at} must have a title, such as { title: 'Approve the order?' }`, optionOf(at), value)
  }
}

/** A copy of plain data that nobody changes; what cannot be carried is refused where the graph is made. */
function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return Object.freeze(value.map(frozen))
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([key, field]) => [key, frozen(field)])))
}

function record(rules: Rules): Rule {
  return (at, value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw invalid(
        `${at} must be an object with ${Object.keys(rules).join(', ')}, got ${describe(value)}`,
        optionOf(at),
        value,
      )
    }
    const [where, option] = [at.slice(0, at.lastIndexOf(' ') + 1), optionOf(at)]
    return applyRules(where, `${option}.`, rules, value as Readonly<Record<string, unknown>>)
  }
}

function schema(at: string, value: unknown): StandardSchemaV1 {
  // arktype's schemas are functions
  if ((typeof value === 'object' && value !== null) || typeof value === 'function') {
    const standard: unknown = (value as { readonly '~standard'?: unknown })['~standard']
    if (
      typeof standard === 'object' &&
      standard !== null &&
      'validate' in standard &&
      typeof standard.validate === 'function'
    ) {
      return value as StandardSchemaV1
    }
  }
  throw invalid(
    `${at} must be a Standard Schema, as zod, valibot and arktype make them, got ${describe(value)}`,
    optionOf(at),
    value,
  )
}
