/**
 * Knows which files of dist/ come from which sources. The build prunes by it and the set-up decides by it whether to build at
 * all; nobody else has to know how sources are laid out.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The root of the checkout. */
export const root = join(import.meta.dirname, '..')

const sourceFolders = ['lib', 'worker', 'bin']
/** The dashboard: bundled, not compiled file by file. */
export const dashboardFolder = 'dashboard'
/** What else decides how dist/ looks. The lock file stands for the compiler's version. */
const alsoDecides = [
  'tsconfig.json',
  'tsconfig.build.json',
  'package-lock.json',
  'scripts/build.mjs',
  'scripts/bundle.mjs',
  'scripts/dist.mjs',
]

/** Every file below `folder` (relative to the root), sorted, with forward slashes; nothing when the folder is missing. */
export function filesBelow(folder) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`]))
    .sort()
}

const isCompiled = (source) => source.endsWith('.ts') && !source.endsWith('.d.ts')

/** The folder whose Lua files and thread stand as texts in a module of dist/, and the TypeScript file in whose place that is. */
export const embedding = { folder: 'lib/backend/redis', module: 'lib/backend/redis/sources' }

/** Sources that stand in that module. */
export const embeddedSources = () => filesBelow(embedding.folder).filter((source) => !source.endsWith('.ts'))

/** The sources that are copied as they are (Lua scripts and the like). */
export const copiedSources = () => {
  const embedded = embeddedSources()
  return sourceFolders.flatMap(filesBelow).filter((source) => !source.endsWith('.ts') && !embedded.includes(source))
}

/** Every file that a build of the present sources leaves in dist/, relative to the root. */
export const expectedOutputs = () => {
  const compiled = sourceFolders.flatMap(filesBelow).filter(isCompiled)
  const stems = compiled.map((source) => `dist/${source.slice(0, -'.ts'.length)}`)
  const copied = copiedSources().map((source) => `dist/${source}`)
  const dashboard = ['index.html', 'first.js', 'first.css', 'app.js', 'app.css'].map((file) => `dist/dashboard/${file}`)
  return [...stems.flatMap((stem) => [`${stem}.js`, `${stem}.d.ts`]), ...copied, ...dashboard]
}

/** A hash over all that decides how dist/ looks: equal hash, equal build. */
export function sourcesHash() {
  const hash = createHash('sha256')
  for (const file of [...alsoDecides, ...[...sourceFolders, dashboardFolder].flatMap(filesBelow)]) {
    const bytes = readFileSync(join(root, file))
    hash.update(`${file}\0${bytes.length}\0`).update(bytes)
  }
  return hash.digest('hex')
}
