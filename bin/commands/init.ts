/** `graflow init`: a first task module and the settings with which every command finds it. Never overwrites a file. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../lib/describe.js'
import { GraflowError } from '../../lib/errors.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Run } from '../host.js'
import { toJson } from '../output.js'
import { FILE } from '../settings-file.js'

const example = (isTyped: boolean): string => {
  const typed = (name: string, type: string): string => (isTyped ? `${name}: ${type}` : name)
  return `import { flow, task, workflow } from 'graflow'

// A task is a named function. Its input and its result are plain values.
const list = task('list', (${typed('count', 'number')}) => Array.from({ length: count }, (_, i) => i + 1))
const square = task('square', async (${typed('n', 'number')}) => {
  await new Promise((resolve) => setTimeout(resolve, 20))
  return n * n
})
const sum = task('sum', (${typed('all', 'number[]')}) => all.reduce((a, b) => a + b, 0))

// >> is then, | is in parallel, * is for each item: the squares are computed by workers, at the same time.
export const hello = workflow('hello', flow('list >> square* >> sum', { list, square, sum }))
`
}

export const initCommand: Run = (given, host) => {
  const isTyped = given.switches.has('typescript') || existsSync(join(host.folder, 'tsconfig.json'))
  const tasks = isTyped ? 'tasks.mts' : 'tasks.mjs' // modules in any folder, whatever its package.json says
  const settings = { tasks: [`./${tasks}`], dev: { run: 'hello', input: '10' } }
  const files: readonly (readonly [string, string])[] = [
    [tasks, example(isTyped)],
    [FILE, toJson(settings)],
  ]
  const isWritten = files.map(([name, text]) => write(join(host.folder, name), text))
  if (given.switches.has('json')) {
    host.out.write(toJson({ files: files.map(([name], i) => ({ name, written: isWritten[i] })) }))
    return Promise.resolve(EXIT_CODES.done.code)
  }
  for (const [i, [name]] of files.entries())
    host.out.write(isWritten[i] === true ? `wrote ${name}\n` : `kept ${name}, which was there\n`)
  host.out.write('next: npx graflow dev          runs it, and again after each change\n')
  host.out.write('      npx graflow run --input 5\n')
  return Promise.resolve(EXIT_CODES.done.code)
}

/** @returns false where there is a file already @throws GraflowError INVALID_OPTION where it cannot be written */
function write(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw new GraflowError('INVALID_OPTION', `cannot write ${path}: ${messageOf(error)}`)
  }
}
