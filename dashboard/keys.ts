/**
 * The API key of this tab. It is kept for the tab only (sessionStorage, never a cookie), and sent as a header, so that no other page can use it.
 */
import { base } from './router.js'
import { store } from './store.js'

const NAME = `graflow-key ${base}`

/** A browser may forbid storage; the key then lasts until the page is left. */
function kept(): string | undefined {
  try {
    return sessionStorage.getItem(NAME) ?? undefined
  } catch {
    return undefined
  }
}

/** Undefined where none was given. */
export const apiKey = store<string | undefined>(kept())
/** Whether the server wants a key: none was given, or the one that was is not right. */
export const keyWanted = store<'no' | 'missing' | 'wrong'>('no')

function keep(key: string | undefined): void {
  try {
    if (key === undefined) sessionStorage.removeItem(NAME)
    else sessionStorage.setItem(NAME, key)
  } catch {
    // kept in memory then
  }
}

export function setKey(key: string | undefined): void {
  keep(key)
  keyWanted.set('no')
  apiKey.set(key)
}

/** The server answered 401: the next load of the page does not try the same key with all that it asks. */
export function refuseKey(): void {
  const isGiven = apiKey.get() !== undefined
  if (isGiven) keep(undefined)
  keyWanted.set(isGiven ? 'wrong' : 'missing')
}

export const keyHeaders = (): Readonly<Record<string, string>> => {
  const key = apiKey.get()
  return key === undefined ? {} : { 'x-api-key': key }
}
