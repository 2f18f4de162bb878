/**
 * The texts of what is no TypeScript: the Lua files and the renewal thread. Here they are read from the files beside this one, as tests and
 * tsx run it; the build puts a module in its place that has the texts in it (scripts/build.mjs), so that nothing but JavaScript has to be
 * found where the package is bundled into one file.
 */
import { readdirSync, readFileSync } from 'node:fs'

const FOLDER = new URL('./lua/', import.meta.url)
const THREAD = new URL('./renewal-thread.mjs', import.meta.url)

/** The Lua files, by their names without `.lua`, in order. */
export const luaTexts = (): ReadonlyMap<string, string> =>
  new Map(
    readdirSync(FOLDER)
      .filter((file) => file.endsWith('.lua'))
      .sort()
      .map((file) => [file.slice(0, -'.lua'.length), readFileSync(new URL(file, FOLDER), 'utf8')]),
  )

/** What the renewal thread runs. */
export const threadSource = (): string => readFileSync(THREAD, 'utf8')
