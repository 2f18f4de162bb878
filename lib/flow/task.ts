/** Makes tasks: the leaves of every flow. Types come from the handler, or from schemas; users write no type arguments by hand. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { GraflowError } from '../errors.js'
import type { TaskContext } from './context.js'
import { describe } from '../describe.js'
import type { Handler } from './expression.js'
import type { TaskOptions } from './node-options.js'
import { makeTask } from './make.js'
import { checkName } from './names.js'
import { nodeOf } from './node.js'
import { checkTaskOptions } from './options.js'
import type { Control, Task } from './types.js'

/** `input`: callers give `I`, the handler gets `S`. `output`: the handler gives `R`, callers get `O`. */
export interface TaskSchemas<I, S, R, O> {
  /** Checks and transforms the input; else INVALID_INPUT. Callers give what the schema takes, the handler gets what it gives. Default: none. */
  readonly input?: StandardSchemaV1<I, S>
  /** Checks and transforms what the handler returns; else INVALID_OUTPUT. Default: none. */
  readonly output?: StandardSchemaV1<R, O>
}

/** What others call an option of a task: each says what it is called here. There is none of these; they are for messages. */
export interface OtherNames {
  /** @deprecated Write `retry: { attempts }`. */
  readonly retries?: '✗ there is no option retries: write retry: { attempts: 3 }, which counts the first start, too'
  /** @deprecated Write `retry: { attempts }`. */
  readonly attempts?: '✗ there is no option attempts: write retry: { attempts: 3 }'
  /** @deprecated Write `retry: { delayMs, factor }`. */
  readonly backoff?: '✗ there is no option backoff: write retry: { attempts: 3, delayMs: 100, factor: 2 }'
  /** @deprecated Write `timeoutMs`. */
  readonly timeout?: '✗ there is no option timeout: write timeoutMs: 5_000'
  /** @deprecated A group has `concurrency`. */
  readonly concurrency?: '✗ a task has no concurrency: a group does, each(it).configure({ concurrency: 4 })'
}

/**
 * What a handler gets whose input has no type. It does what `unknown` does, but the compiler's errors about it say what to write: hence
 * the parameter, which is only printed. It has no members, so that `typeof` and `as` narrow it.
 */
export interface Untyped<
  _Sentence = '✗ the input has no type: write it, (input: { id: string }) => …, or give an input schema',
> {}
/** X, where it was written or inferred. Few types take what is empty, so the second question costs the compiler nothing. */
type Typed<X> = [Untyped] extends [X] ? (Same<X, Untyped> extends true ? unknown : X) : X
type Same<X, Y> = (<T>() => T extends X ? 1 : 2) extends <T>() => T extends Y ? 1 : 2 ? true : false
type Given<R> = Exclude<R, Control>
/** What a handler may return to give R. */
type Returned<R> = R | Control | Promise<R | Control>
type Unless<S, T> = [S] extends [never] ? T : S
type Parses<S, P> = [S] extends [P] ? unknown : ['✗ the input schema gives', S, 'but the handler takes', P]
/**
 * While the compiler reads the handler, W is known and R is not: this then tells it what the handler should return, so that 'a' stays 'a'.
 * (It looks so far ahead only into a conditional type.) Afterwards it tells whether that is what it returns.
 */
type Satisfies<R, W> = [W] extends [never]
  ? unknown
  : [Given<R>] extends [W]
    ? (input: never, ctx: never) => Returned<Written<W>>
    : ['✗ the handler gives', Given<R>, 'but the output schema takes', W]

/**
 * A named function that a worker can run.
 *
 * @example
 * // Task<{ name: string }, number, 'score'>
 * const score = task('score', { retry: { attempts: 3 }, timeoutMs: 5_000 }, async (user: { name: string }, ctx) => 0.97)
 * score.options // → { retry: { attempts: 3 }, timeoutMs: 5_000 }
 *
 * @throws GraflowError INVALID_NAME, INVALID_OPTION, NOT_SERIALISABLE (code among the options)
 */
export function task<const N extends string, I = Untyped, R = never>(
  name: N,
  handler: (input: I, ctx: TaskContext<Written<Typed<I>>>) => Returned<R>,
): Task<Typed<I>, Given<R>, N>
// Defaults stand in for what no argument says: without schemas, S and W stay `never` and the handler alone decides P and R.
export function task<
  const N extends string,
  S = never,
  W = never,
  P = Unless<S, Untyped>,
  R = never,
  I = P,
  O = Given<R>,
>(
  name: N,
  options: TaskOptions & TaskSchemas<I, S, W, O> & OtherNames,
  handler: ((input: P, ctx: TaskContext<Written<Typed<I>>>) => Returned<R>) & Parses<S, P> & Satisfies<R, W>,
): Task<Typed<I>, O, N>
export function task(name: unknown, ...rest: readonly unknown[]): unknown {
  const checked = checkName('task', name)
  const [options, handler] = rest.length <= 1 ? [undefined, rest[0]] : rest
  if (typeof handler !== 'function') {
    const isForgotten = rest.length === 0 || (rest.length === 1 && typeof handler === 'object')
    throw new GraflowError(
      'INVALID_OPTION',
      isForgotten
        ? `task "${checked}" has no handler: task('${checked}', async (input, ctx) => …); if it is elsewhere, declareTask<typeof it>('${checked}')`
        : `task "${checked}": the handler must be a function, got ${describe(handler)}${typeof options === 'function' ? `; it comes last, task('${checked}', { … }, handler)` : ''}`,
      { details: { task: checked, option: 'handler' } },
    )
  }
  return nodeOf(makeTask(checked, checkTaskOptions(checked, options), handler as Handler))
}

/** Stands for a type argument that was not written. */
interface Unset {
  readonly '~unset': true
}
type IsUnset<X> = Same<X, Unset>
/** X, where the compiler infers nothing for X. (TypeScript's own NoInfer stays visible around arrays.) */
type Written<X> = [X][X extends any ? 0 : never]
type DeclaredName<X, Y, N> =
  IsUnset<X> extends true
    ? N
    : IsUnset<Y> extends true
      ? X extends Task<never, unknown, infer M>
        ? M
        : '✗ one type argument is the type of a task, declareTask<typeof resize>(…); two are its input and output'
      : string
type Declared<X, Y, N extends string, I, O> =
  IsUnset<X> extends true ? Task<I, O, N> : IsUnset<Y> extends true ? X : Task<X, Y>

// One signature and not an overload for each way: with overloads the compiler would explain a misspelt option three times. What the
// call is used for must not stand in for a type argument that was not written, hence Written.
/**
 * A task whose handler lives elsewhere, for producers that do not carry the workers' code. Three ways to say its types: by schemas,
 * by `<I, O>`, or by `declareTask<typeof resize>('resize')` beside `import type { resize } from './tasks.js'`.
 * In one flow with the task itself it is that task, if both have the same options. `retry`, `timeoutMs`, `maxLosses` and `maxCycles` that it
 * leaves out are those of the task itself, where the handler runs. Its input schema checks values before they are sent and changes none (INVALID_INPUT);
 * its output schema only gives the type. The schemas of the task itself transform values, once.
 *
 * @throws GraflowError INVALID_NAME, INVALID_OPTION, NOT_SERIALISABLE
 */
export function declareTask<
  X = Unset,
  Y = Unset,
  const N extends string = string,
  I = unknown,
  P = unknown,
  R = unknown,
  O = unknown,
>(
  name: DeclaredName<X, Y, N>,
  options?: TaskOptions & TaskSchemas<I, P, R, O> & OtherNames,
): Declared<Written<X>, Written<Y>, N, I, O>
export function declareTask(name: unknown, options?: unknown): unknown {
  const checked = checkName('task', name)
  if (typeof options === 'function') {
    throw new GraflowError(
      'INVALID_OPTION',
      `declareTask "${checked}" takes no handler: with one it is task('${checked}', handler)`,
      {
        details: { task: checked, option: 'handler' },
      },
    )
  }
  return nodeOf(makeTask(checked, checkTaskOptions(checked, options)))
}
