/**
 * Puts the package of an earlier commit into .cache/releases/<commit>, with the node_modules of this one, and prints the folder. Usage:
 * node scripts/old-package.mjs COMMIT. What is there is not made again. Types are not checked: they were, when it was committed.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { transformFileSync } from '@swc/core'

const root = fileURLToPath(new URL('..', import.meta.url))
const [commit] = process.argv.slice(2)
if (commit === undefined) throw new Error('expected a commit, as: node scripts/old-package.mjs 9bb248d')
const folder = join(root, '.cache/releases', commit)
if (!existsSync(folder)) await make(`${folder}.${process.pid}`)
console.log(folder)

/** In a folder that gets its name once it is whole: another process may be doing the same. */
async function make(part) {
  mkdirSync(part, { recursive: true })
  try {
    const files = execFileSync('git', ['-C', root, 'archive', commit], { maxBuffer: 256 * 1024 * 1024 })
    execFileSync('tar', ['-x', '-C', part], { input: files })
  } catch (error) {
    rmSync(part, { recursive: true })
    throw new Error(`commit ${commit} is not in this clone: git fetch --unshallow brings it`, { cause: error })
  }
  symlinkSync(join(root, 'node_modules'), join(part, 'node_modules'))
  const { embeddedSources, embedding, filesBelow } = await import(pathToFileURL(join(part, 'scripts/dist.mjs')).href)
  for (const source of ['lib', 'worker', 'bin'].flatMap((room) => filesBelow(room))) {
    if (!source.endsWith('.ts')) continue
    const { code } = transformFileSync(join(part, source), {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'es6' },
    })
    write(join(part, 'dist', source.replace(/\.ts$/, '.js')), code)
  }
  // as scripts/build.mjs of that commit does it
  const texts = embeddedSources().map((source) => [source, readFileSync(join(part, source), 'utf8')])
  const lua = texts
    .filter(([source]) => source.endsWith('.lua'))
    .map(([source, text]) => [basename(source, '.lua'), text])
  const [, thread = ''] = texts.find(([source]) => source.endsWith('.mjs')) ?? []
  const lines = [
    `const lua = ${JSON.stringify(lua)}`,
    'export const luaTexts = () => new Map(lua)',
    `const thread = ${JSON.stringify(thread)}`,
    'export const threadSource = () => thread',
  ]
  write(join(part, 'dist', `${embedding.module}.js`), `${lines.join('\n')}\n`)
  if (existsSync(folder)) rmSync(part, { recursive: true })
  else renameSync(part, folder)
}

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
