/**
 * Modules and programs as JavaScript, compiled once for a test file: each process that had to compile TypeScript itself took a fifth of a
 * second to a whole one of processor time for it. They run on the built package, so what they do with lib and worker is what users get.
 * That TypeScript runs as it stands is tested where that is the question: test/long/worker-process.test.ts, test/examples/hello.test.ts.
 */
import { transformFileSync } from '@swc/core'
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const project = fileURLToPath(new URL('../..', import.meta.url))
/** Within the project, so that packages are found; files keep their places to each other. */
const target = join(project, '.cache/test-programs')
const outputs = new Map<string, string>()

/** What a source says of other files: modules that it imports, and files beside it that it starts or gives to workers. */
const IMPORT = /(from|import) ?(\(?)(['"])(\.[^'"]+)\.js\3/g
const BESIDE = /join\(import\.meta\.dirname, ['"]([^'"]+\.ts)['"]\)/g
const BESIDE_AS_URL = /new URL\(['"]([^'"]+\.ts)['"], import\.meta\.url\)/g

/**
 * Path of the compiled file; whatever it imports or names by a relative path is compiled beside it, and is found where its source is
 * by all else. A file that is no TypeScript of this project stays what it is.
 */
export function compiled(path: string): string {
  const place = relative(project, path)
  if (!path.endsWith('.ts') || place.startsWith('..')) return path
  const known = outputs.get(path)
  if (known !== undefined) return known
  const built = join(project, 'dist', place.replace(/\.ts$/, '.js'))
  if (/^(?:lib|worker|bin)\//.test(place)) {
    if (!existsSync(built)) throw new Error(`expected ${built}; run: npm run setup`)
    return built
  }
  const output = join(target, place.replace(/\.ts$/, '.js'))
  outputs.set(path, output)
  const { code } = transformFileSync(path, {
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'es6' },
  })
  writeWhole(output, withPlaces(code, path, output))
  return output
}

function withPlaces(code: string, path: string, output: string): string {
  const folder = dirname(path)
  const text = JSON.stringify
  return code
    .replace(IMPORT, (whole, word: string, open: string, _quote, specifier: string) => {
      const source = join(folder, `${specifier}.ts`)
      if (!existsSync(source)) return whole
      return `${word} ${open}${text(`./${relative(dirname(output), compiled(source))}`)}`
    })
    .replace(BESIDE, (_, file: string) => text(compiled(join(folder, file))))
    .replace(BESIDE_AS_URL, (_, file: string) => `new URL(${text(pathToFileURL(compiled(join(folder, file))).href)})`)
    .replaceAll('import.meta.dirname', text(folder))
    .replaceAll('import.meta.url', text(pathToFileURL(path).href))
}

/** Another test file may be compiling the same: nobody sees half of one. */
function writeWhole(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  const part = `${path}.${process.pid}`
  writeFileSync(part, text)
  renameSync(part, path)
}
