/**
 * The classes of errors that the language has, by name: an error arrives as an instance of the nearest one, in whatever realm it was made
 * and whatever class of its own it had.
 */

const CLASSES = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError } as const

export type LanguageErrorName = keyof typeof CLASSES | 'AggregateError'

/** Whether it names one of those classes. */
export const isLanguageError = (name: unknown): name is LanguageErrorName =>
  typeof name === 'string' && (name === 'AggregateError' || Object.hasOwn(CLASSES, name))

/** The nearest class of the language that an error is of; found by name, since a test runner's realm has each class twice. */
export function languageErrorOf(error: object): LanguageErrorName {
  for (
    let at: unknown = Object.getPrototypeOf(error);
    typeof at === 'object' && at !== null;
    at = Object.getPrototypeOf(at)
  ) {
    const own = Object.getOwnPropertyDescriptor(at, 'constructor')?.value as unknown
    const name = typeof own === 'function' ? own.name : undefined
    if (isLanguageError(name)) return name
  }
  return 'Error'
}

/** Properties that an error has without showing them, as those that the language itself makes. */
const HIDDEN: ReadonlySet<string> = new Set(['name', 'message', 'cause'])

/**
 * A new error of this class with these own properties, and no stack of ours. A name that the class has anyway is left to it.
 */
export function newError(kind: LanguageErrorName, own: Readonly<Record<string, unknown>>): Error {
  const { message, stack } = own
  // Given to the class, its message is what the class makes of it: hidden, and at no further cost. An empty one it would not have by itself.
  const isGiven = typeof message === 'string' && message !== ''
  // The stack of this line would say nothing about the failure.
  const error = withoutStack(() => bare(kind, isGiven ? message : undefined))
  setStack(error, stack)
  for (const key of Object.keys(own)) {
    if (key === 'stack') continue
    const value = own[key]
    if (key === 'message' && (isGiven || value === error.message)) continue
    if (key === 'name' && value === error.name) continue
    const isHidden = HIDDEN.has(key) || (key === 'errors' && kind === 'AggregateError')
    Object.defineProperty(error, key, { value, configurable: true, writable: true, enumerable: !isHidden })
  }
  return error
}

const bare = (kind: LanguageErrorName, message: string | undefined): Error =>
  kind === 'AggregateError' ? new AggregateError([], message) : new CLASSES[kind](message)

/** As the language does: hidden, whatever its value. */
function setStack(error: Error, stack: unknown): void {
  // Assigning to what the language made is cheaper; without a limit of frames that is a number, it makes none.
  if (typeof stack === 'string' && Object.hasOwn(error, 'stack')) error.stack = stack
  else Object.defineProperty(error, 'stack', { value: stack, configurable: true, writable: true, enumerable: false })
}

/** Makes an error without looking where that happens, which costs more than all else of it: its stack is another one, or none. */
export function withoutStack<T>(make: () => T): T {
  const { stackTraceLimit } = Error
  if (stackTraceLimit === 0) return make()
  setLimit(0)
  try {
    return make()
  } finally {
    setLimit(stackTraceLimit)
  }
}

function setLimit(frames: number): void {
  // Refused where the language's own objects are frozen: then it only costs more.
  Reflect.set(Error, 'stackTraceLimit', frames)
}

/** Lets a class put a private field on what it is given: as a constructor, it gives just that. */
const Marking = function (marked: object): object {
  return marked
} as unknown as new (
  marked: object,
) => object

/** The mark of errors that `overCause` made: the stack that they were given. An entry of a WeakMap would cost as much again with each collection of garbage. */
class OverCause extends Marking {
  readonly #stack: string

  constructor(error: Error, stack: string) {
    super(error)
    this.#stack = stack
  }

  static stackOf(error: Error): string | undefined {
    return #stack in error ? (error as unknown as OverCause).#stack : undefined
  }
}

/** Whether it is what `overCause` made, and it has not got another stack since. */
export function isOverCause(error: Error): boolean {
  const given = OverCause.stackOf(error)
  return given !== undefined && given === error.stack
}

/**
 * An error with the stack of its cause, under its own name and message: printed, it tells what failed, and where that was thrown. It need not
 * travel beside its cause.
 */
export function overCause<E extends Error>(cause: Error, make: () => E): E {
  const error = withoutStack(make)
  const stack = `${error.name}: ${error.message}${framesOf(cause)}`
  error.stack = stack
  new OverCause(error, stack)
  return error
}

const FRAME = '\n    at '

/** The lines of a stack that say where, as they are: to take them apart would cost more than the error. */
function framesOf(error: Error): string {
  const stack = stackOf(error)
  if (typeof stack !== 'string') return ''
  const line = stack.indexOf('\n')
  // Nearly always the message is one line.
  const at = line >= 0 && stack.startsWith(FRAME, line) ? line : stack.search(/\n *at /)
  return at < 0 ? '' : stack.slice(at)
}

function stackOf(error: Error): unknown {
  try {
    return error.stack
  } catch {
    return undefined // a getter that throws
  }
}
