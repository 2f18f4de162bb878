/** A backend as it is seen over a wire: something happens to every call and to all news on their way. The faults are the caller's. */
import type { Backend, Notice, RunActivity } from '../../lib/backend/backend.js'

export interface Wire {
  /** Every call that has an answer: `send` carries it out. */
  readonly call: (name: string, send: () => Promise<unknown>) => Promise<unknown>
  /** Every notice of a session and activity of a run: `deliver` hands it to the listener. At once unless told otherwise. */
  readonly news?: (deliver: () => void) => void
}

/** What a store over a wire does for itself. */
type Own = Partial<Omit<Backend, 'limits' | 'inspect' | 'listen' | 'watch'>>

/** Methods that answer at once. */
const SYNCHRONOUS = new Set(['listen', 'watch', 'onReconnected', 'keepAlive', 'earlyToken', 'close'])

/** @param own stands in for methods of the near backend, and no wire is before it */
export function wired(near: Backend, { call, news = (deliver) => deliver() }: Wire, own: Own = {}): Backend {
  const later =
    <T>(listener: (news: T) => void) =>
    (what: T): void =>
      news(() => listener(what))
  const seen = {
    ...methodsOf(near, (name, method) =>
      SYNCHRONOUS.has(name) ? method : (...args) => call(name, () => method(...args) as Promise<unknown>),
    ),
    limits: near.limits,
    inspect: methodsOf(
      near.inspect,
      (name, method) =>
        (...args) =>
          call(name, () => method(...args) as Promise<unknown>),
    ),
    listen: (session: string, listener: (notice: Notice) => void) => near.listen(session, later(listener)),
    watch: (runId: string, listener: (activity: RunActivity) => void) => near.watch(runId, later(listener)),
    ...own,
  }
  return seen as unknown as Backend // every method of `near` is there
}

/** The methods of an object and of its class, bound to it, so that they can be taken apart. One that a test puts in later counts. */
function methodsOf(target: object, wrap: (name: string, method: Method) => Method): Record<string, Method> {
  const all = target as Record<string, unknown>
  const names = new Set([...Object.getOwnPropertyNames(Object.getPrototypeOf(target)), ...Object.keys(target)])
  names.delete('constructor')
  return Object.fromEntries(
    [...names].flatMap((name): [string, Method][] => {
      if (typeof all[name] !== 'function') return []
      return [[name, wrap(name, (...args) => (all[name] as Method).apply(target, args))]]
    }),
  )
}
type Method = (...args: unknown[]) => unknown
