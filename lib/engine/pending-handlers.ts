/**
 * Finds the handler that a call is made for, after its first `await`. The promise of a handler is awaited in an async function with a name of its
 * own, and V8 knows which async functions wait for the one that runs: they are on its stack. AsyncLocalStorage would know more, but every promise
 * of the process would pay for it.
 */
import { systemId } from '../time.js'
import { HandlerContext } from './context.js'

/** Frames that are looked at: those of the client, and how deep a handler may call. */
const MOST_FRAMES = 64
/** Fewer places than this are not looked through for those of handlers that never end. */
const FEW_PLACES = 64

/** Where one handler at a time is awaited. */
interface Place {
  readonly name: string
  context: HandlerContext | undefined
  readonly wait: (output: PromiseLike<unknown>) => Promise<unknown>
}

/** Other copies of this package have places, too. */
const PREFIX = `graflow handler ${systemId().slice(0, 8)}.`

const places = new Map<string, Place>()
const free: Place[] = []
let lastNumber = 0
let mostPlaces = FEW_PLACES

/** Settles as what a handler returned does. */
export function awaited(output: PromiseLike<unknown>, context: HandlerContext): Promise<unknown> {
  const place = free.pop() ?? newPlace()
  place.context = context
  return place.wait(output)
}

function newPlace(): Place {
  if (places.size >= mostPlaces) leaveEnded()
  lastNumber += 1
  const place: Place = {
    name: PREFIX + String(lastNumber),
    context: undefined,
    wait: async (output) => {
      try {
        return await output
      } finally {
        place.context = undefined
        if (places.has(place.name)) free.push(place)
      }
    },
  }
  Object.defineProperty(place.wait, 'name', { value: place.name })
  places.set(place.name, place)
  return place
}

/** An output that never settles keeps its place, and only this map keeps the place: it lets go of it, so that both can be collected. */
function leaveEnded(): void {
  for (const { name, context } of places.values()) {
    if (context !== undefined && HandlerContext.execution(context).hasEnded) places.delete(name)
  }
  mostPlaces = Math.max(FEW_PLACES, places.size * 2)
}

/** The context of the innermost handler that waits for what runs now; undefined where V8 cannot tell, as in the callback of a timer. */
export function waitingHandler(): HandlerContext | undefined {
  if (places.size === free.length) return undefined
  for (const frame of framesNow()) {
    const name = frame.getFunctionName()
    if (name?.startsWith(PREFIX) === true) return places.get(name)?.context
  }
  return undefined
}

/** The stack of this call, with the async functions that wait for it. */
function framesNow(): readonly NodeJS.CallSite[] {
  const { stackTraceLimit } = Error
  const prepare = Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace')
  const holder: { stack?: unknown } = {}
  try {
    Error.stackTraceLimit = MOST_FRAMES
    Error.prepareStackTrace = (_error, frames) => frames
    Error.captureStackTrace(holder, waitingHandler)
    const { stack } = holder // made when it is read
    return Array.isArray(stack) ? (stack as readonly NodeJS.CallSite[]) : []
  } catch {
    return [] // Error is frozen
  } finally {
    restore(stackTraceLimit, prepare)
  }
}

function restore(limit: number, prepare: PropertyDescriptor | undefined): void {
  try {
    Error.stackTraceLimit = limit
    if (prepare === undefined) Reflect.deleteProperty(Error, 'prepareStackTrace')
    else Object.defineProperty(Error, 'prepareStackTrace', prepare)
  } catch {
    // frozen: nothing was changed
  }
}
