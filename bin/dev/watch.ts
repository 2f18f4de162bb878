/** Tells when a module in some folders changes. Folders of packages and hidden ones are left out. */
import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs'
import { basename, extname, join } from 'node:path'

const MODULES = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts']
/** Editors write a file in several steps. */
const SETTLE_MS = 60
const MOST_FOLDERS = 500

/** Something that watches until it is closed. */
export interface Watch {
  close(): void
}

/**
 * Calls `onChange` once for changes that come together, with the name of one of the files.
 * @param roots folders, with all below them
 */
export function watchModules(roots: readonly string[], onChange: (name: string) => void): Watch {
  const watchers = new Map<string, FSWatcher>()
  let timer: NodeJS.Timeout | undefined
  const changed = (folder: string, name: string): void => {
    if (isFolder(join(folder, name))) add(join(folder, name))
    if (!MODULES.includes(extname(name))) return
    clearTimeout(timer)
    timer = setTimeout(() => onChange(name), SETTLE_MS)
  }
  const add = (folder: string): void => {
    if (watchers.has(folder) || watchers.size >= MOST_FOLDERS) return
    try {
      const watcher = watch(folder, (_, name) => {
        if (name !== null) changed(folder, name)
      })
      watcher.on('error', () => remove(folder)) // it was deleted
      watchers.set(folder, watcher)
      for (const entry of readdirSync(folder, { withFileTypes: true }))
        if (entry.isDirectory() && isWatched(entry.name)) add(join(folder, entry.name))
    } catch {
      remove(folder)
    }
  }
  const remove = (folder: string): void => {
    watchers.get(folder)?.close()
    watchers.delete(folder)
  }
  for (const root of roots) add(root)
  return {
    close() {
      clearTimeout(timer)
      for (const folder of [...watchers.keys()]) remove(folder)
    },
  }
}

const isWatched = (name: string): boolean => name !== 'node_modules' && !name.startsWith('.')

function isFolder(path: string): boolean {
  try {
    return isWatched(basename(path)) && statSync(path).isDirectory()
  } catch {
    return false // it is gone again
  }
}
