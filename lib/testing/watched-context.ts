/** A handler's context that tells when the handler waits by it. Hides how that is seen: each call goes on to the engine's own context. */
import { GraflowError } from '../errors.js'
import type { ChannelAccess, TaskContext } from '../flow/context.js'
import type { Piece } from './work.js'

/** Methods of the context during which the handler does no work of its own, and time may pass. */
const WAITS: ReadonlySet<PropertyKey> = new Set(['run', 'sleep', 'waitFor'])
/** Those that bring a flow. */
const BRINGS: ReadonlySet<PropertyKey> = new Set(['run', 'next', 'goto'])

/** What the context is watched for. */
export interface Watching {
  readonly piece: Piece
  /** The task asks for a thread; here it runs in this one, without what it would lack there. */
  readonly isInThread: boolean
  /** The worker: whoever goes on with a flow that the handler brings needs its code. */
  readonly scene: { bring(node: unknown): void }
}

type Method = (...args: unknown[]) => unknown

export function watchedContext(ctx: TaskContext, watching: Watching): TaskContext {
  const { piece, isInThread, scene } = watching
  let channel: ChannelAccess | undefined
  return new Proxy(ctx, {
    get(target, key) {
      if (key === 'channel') return (channel ??= watchedChannel(target.channel, piece))
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      const call = (...args: unknown[]): unknown => (value as Method).apply(target, args)
      if (BRINGS.has(key)) {
        return (...args: unknown[]) => {
          if (isInThread) throw notInThread(target, String(key))
          scene.bring(args[0])
          return key === 'run' ? piece.waiting(() => call(...args) as Promise<unknown>) : call(...args)
        }
      }
      return WAITS.has(key) ? (...args: unknown[]) => piece.waiting(() => call(...args) as Promise<unknown>) : call
    },
  })
}

/** Until it has a lock, a handler waits; with it, it works; and it waits again until the lock is given back. */
function watchedChannel(channel: ChannelAccess, piece: Piece): ChannelAccess {
  return new Proxy(channel, {
    apply: (target, self, args) => watchedChannel(Reflect.apply(target as Method, self, args) as ChannelAccess, piece),
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      const call = (...args: unknown[]): unknown => (value as Method).apply(target, args)
      if (key !== 'lock') return call
      return (name: unknown, options: unknown, fn: unknown) =>
        typeof fn === 'function'
          ? held(piece, fn as Method, (inner) => call(name, options, inner))
          : call(name, options, fn)
    },
  })
}

function held(piece: Piece, fn: Method, lock: (fn: Method) => unknown): unknown {
  let back = piece.pause()
  const again = (): void => {
    back = piece.pause()
  }
  const inner: Method = async (...args) => {
    back()
    try {
      return await fn(...args)
    } finally {
      again()
    }
  }
  const locked = lock(inner) as Promise<unknown>
  const over = (): void => back()
  locked.then(over, over)
  return locked
}

const notInThread = ({ taskName, path }: TaskContext, method: string): GraflowError =>
  new GraflowError(
    'NOT_IN_THREAD',
    `task "${taskName}" (at ${path}) called ctx.${method}, and it asks for isolation 'thread', where a handler has no flows to run: do that in a task ` +
      "with isolation 'inline', before or after this one",
    { details: { task: taskName, path, method } },
  )
