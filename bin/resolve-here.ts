/**
 * Lets task modules of a folder without an installed graflow import this one: `graflow init && graflow dev` works in an empty folder, before
 * any `npm install`. Where the folder has a graflow of its own, that is taken.
 */
import { createRequire, register } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Resolves `graflow` from this package where it is not found otherwise. Does nothing in a folder that has one. */
export function resolveHere(folder: string): void {
  try {
    createRequire(pathToFileURL(join(folder, 'x.js'))).resolve('graflow')
  } catch {
    register(`data:text/javascript,${encodeURIComponent(hookOf(import.meta.url))}`)
  }
}

/** A hook of the module loader (https://nodejs.org/api/module.html#hooks), as it runs in a thread of its own. */
const hookOf = (here: string): string => `
export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context)
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' || !/^graflow(\\/|$)/.test(specifier)) throw error
    return next(specifier, { ...context, parentURL: ${JSON.stringify(here)} })
  }
}`

/** What starts a child of `graflow dev`, as `node --import` takes it: the same there, and its end with the end of who started it. */
export const preambleFor = (folder: string): string =>
  `data:text/javascript,${encodeURIComponent(`
import { resolveHere } from ${JSON.stringify(import.meta.url)}
resolveHere(${JSON.stringify(folder)})
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
`)}`
