/**
 * Task modules as JavaScript, compiled once: each worker process of a test that had to compile TypeScript itself took a fifth of a second
 * of processor time for it. That workers load TypeScript is tested where that is the question (test/worker/process.test.ts).
 */
import { transformFileSync } from '@swc/core'
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('../..', import.meta.url))
/** Within the project, so that packages are found; files keep their places to each other. */
const target = join(project, '.cache/test-tasks')
const compiled = new Map<string, string>()

/** Path of the compiled module; what it imports by relative paths is compiled beside it. A module that is no TypeScript stays what it is. */
export function compiledTasks(path: string): string {
  if (!path.endsWith('.ts') || relative(project, path).startsWith('..')) return path
  const known = compiled.get(path)
  if (known !== undefined) return known
  const output = join(target, relative(project, path).replace(/\.ts$/, '.js'))
  compiled.set(path, output)
  const { code } = transformFileSync(path, {
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'es6' },
  })
  for (const [, specifier = ''] of code.matchAll(/from ['"](\.[^'"]+)\.js['"]/g)) {
    const source = join(dirname(path), `${specifier}.ts`)
    if (existsSync(source)) compiledTasks(source)
  }
  mkdirSync(dirname(output), { recursive: true })
  // another test file may be compiling the same: nobody sees half of one
  const part = `${output}.${process.pid}`
  writeFileSync(part, code)
  renameSync(part, output)
  return output
}
