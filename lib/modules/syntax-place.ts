/** Where a module does not parse. The error that Node.js gives for an ES module does not say; its `--check` does, and runs nothing of the module. */
import { execFile } from 'node:child_process'
import { extname } from 'node:path'

const CHECK_MS = 5_000
/** `--check` knows these. */
const CHECKED = ['.js', '.mjs', '.cjs']
const MOST_LINE = 160

/** As `--check` writes it: the file and line, the line itself, and a caret below it; undefined where that module is whole, or nothing was found out. */
export function syntaxPlace(path: string): Promise<string | undefined> {
  if (!CHECKED.includes(extname(path))) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    execFile(process.execPath, ['--check', path], { timeout: CHECK_MS, env: {} }, (error, _out, said) => {
      const [place = '', line = '', caret = ''] = said.split(/\r?\n/)
      if (error === null || !/:\d+$/.test(place)) resolve(undefined)
      else resolve(line.length > MOST_LINE ? place : `${place}\n${line}\n${caret}`.trimEnd())
    })
  })
}
