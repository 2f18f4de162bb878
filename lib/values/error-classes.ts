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
const HIDDEN: ReadonlySet<string> = new Set(['message', 'stack', 'cause'])

/**
 * A new error of this class with these own properties, and no stack of ours. A name that the class has anyway is left to it.
 */
export function newError(kind: LanguageErrorName, own: Readonly<Record<string, unknown>>): Error {
  // The stack of this line would say nothing about the failure.
  const error = withoutStack(() => (kind === 'AggregateError' ? new AggregateError([]) : new CLASSES[kind]()))
  Object.defineProperty(error, 'stack', { value: undefined, configurable: true, writable: true, enumerable: false })
  for (const [key, value] of Object.entries(own)) {
    if (key === 'name' && value === error.name) continue
    if (key === 'message' && value === error.message) continue
    const isHidden = HIDDEN.has(key) || key === 'name' || (key === 'errors' && kind === 'AggregateError')
    Object.defineProperty(error, key, { value, configurable: true, writable: true, enumerable: !isHidden })
  }
  return error
}

/** Makes an error without looking where that happens, which costs more than all else of it: its stack is another one, or none. */
export function withoutStack<E extends Error>(make: () => E): E {
  const { stackTraceLimit } = Error
  Reflect.set(Error, 'stackTraceLimit', 0) // refused where the language's own objects are frozen: then it only costs more
  try {
    return make()
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
  }
}

/** Of errors that `overCause` made: the stack that they were given. */
const stacksOverCauses = new WeakMap<Error, string>()

/** Whether it is what `overCause` made, and it has not got another stack since. */
export function isOverCause(error: Error): boolean {
  const given = stacksOverCauses.get(error)
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
  stacksOverCauses.set(error, stack)
  return error
}

/** The lines of a stack that say where, as they are: to take them apart would cost more than the error. */
function framesOf(error: Error): string {
  const stack = stackOf(error)
  if (typeof stack !== 'string') return ''
  const at = stack.search(/\n *at /)
  return at < 0 ? '' : stack.slice(at)
}

function stackOf(error: Error): unknown {
  try {
    return error.stack
  } catch {
    return undefined // a getter that throws
  }
}
