/**
 * Finds packages that npm, yarn or pnpm installed, including nested and scoped ones, and reads the facts of each. An unreadable file is a
 * finding, never an exception: one broken package must not hide the others.
 */
import type { Dirent } from 'node:fs'
import { lstat, open, readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { classOf, isLicenceFile, licenceOfText, statedLicence, type LicenceClass } from './licences.js'

/** A folder in which a package is installed. */
export interface Place {
  /** Relative to the audited directory, with forward slashes: `node_modules/a/node_modules/b`. */
  readonly path: string
  readonly directory: string
}

/** A problem for a person to check. */
export interface Finding {
  readonly kind: 'manifest' | 'licence' | 'unreadable' | 'link'
  readonly path: string
  readonly problem: string
}

export interface Package {
  readonly name: string
  /** Undefined if package.json has none. */
  readonly version: string | undefined
  readonly path: string
  /** Usually an SPDX expression; `none found` if there is none. */
  readonly licence: string
  readonly class: LicenceClass
  /** Its own files on disk, without those of nested packages. */
  readonly files: number
  readonly bytes: number
  /** Files that were opened to find these facts. */
  readonly filesRead: number
}

export const NO_LICENCE = 'none found'
/** The first pages are enough to recognise a licence. */
const MOST_LICENCE_BYTES = 64 * 1024
const MOST_LICENCE_FILES = 4

/** The packages below a directory. */
export interface Listing {
  readonly places: readonly Place[]
  readonly findings: readonly Finding[]
  /** Links to packages inside the tree, as pnpm makes them. Each package is counted once, at its real place. */
  readonly links: number
}

/**
 * Every package installed below `directory`, which is a project or a node_modules folder itself.
 * @throws Error if there is no node_modules
 */
export async function listPackages(directory: string): Promise<Listing> {
  const given = resolve(directory)
  const top = (await isDirectory(join(given, 'node_modules'))) ? join(given, 'node_modules') : given
  if (basename(top) !== 'node_modules' || !(await isDirectory(top))) {
    throw new Error(`there is no node_modules in ${directory}: install packages first, or name another directory`)
  }
  const tree = await realpath(top)
  const nameOf = (path: string): string => slashed(relative(dirname(top), path))
  const places: Place[] = []
  const findings: Finding[] = []
  let links = 0

  const read = async (folder: string): Promise<readonly Dirent[]> => {
    try {
      const entries = await readdir(folder, { withFileTypes: true })
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') findings.push(unreadable(nameOf(folder), error))
      return []
    }
  }
  const readLink = async (link: string): Promise<void> => {
    try {
      const target = await realpath(link)
      if (target.startsWith(tree + sep)) links += 1
      else
        findings.push({
          kind: 'link',
          path: nameOf(link),
          problem: `a link out of the tree, to ${target}: not followed`,
        })
    } catch (error) {
      const why = codeOf(error) === 'ELOOP' ? 'a link to itself' : 'a link that leads nowhere'
      findings.push({ kind: 'link', path: nameOf(link), problem: why })
    }
  }
  const readModules = async (folder: string): Promise<void> => {
    for (const entry of await read(folder)) {
      const path = join(folder, entry.name)
      if (entry.name === '.pnpm')
        for (const { name } of await read(path)) await readModules(join(path, name, 'node_modules'))
      if (entry.name.startsWith('.')) continue
      if (entry.isSymbolicLink()) await readLink(path)
      else if (entry.isDirectory() && entry.name.startsWith('@')) await readModules(path)
      else if (entry.isDirectory()) {
        places.push({ path: nameOf(path), directory: path })
        await readModules(join(path, 'node_modules'))
      }
    }
  }
  await readModules(top)
  return { places, findings, links }
}

/** Reads package.json, finds the licence, counts files and bytes. */
export async function inspectPackage(place: Place): Promise<Inspected> {
  const inspection: Inspection = { place, findings: [], filesRead: 0 }
  const size = await measure(inspection)
  const { name, version, ...rest } = await readManifest(inspection)
  const licence = statedLicence(rest) ?? (await guessLicence(inspection, size.licenceFiles)) ?? NO_LICENCE
  const found: Package = {
    name: typeof name === 'string' && name !== '' ? name : nameByPath(place.path),
    version: typeof version === 'string' && version !== '' ? version : undefined,
    path: place.path,
    licence,
    class: classOf(licence),
    files: size.files,
    bytes: size.bytes,
    filesRead: inspection.filesRead,
  }
  return { found, findings: inspection.findings }
}

export interface Inspected {
  readonly found: Package
  readonly findings: readonly Finding[]
}

/** One package during its inspection. */
interface Inspection {
  readonly place: Place
  readonly findings: Finding[]
  filesRead: number
}

async function readManifest(inspection: Inspection): Promise<Readonly<Record<string, unknown>>> {
  const told = (problem: string): Record<string, unknown> => {
    inspection.findings.push({ kind: 'manifest', path: `${inspection.place.path}/package.json`, problem })
    return {}
  }
  let text: string
  try {
    text = await readText(inspection, 'package.json')
  } catch (error) {
    return told(codeOf(error) === 'ENOENT' ? 'is missing' : `cannot be read (${codeOf(error)})`)
  }
  try {
    const manifest: unknown = JSON.parse(text.replace(/^\uFEFF/, ''))
    return typeof manifest === 'object' && manifest !== null && !Array.isArray(manifest)
      ? { ...manifest }
      : told('is no object')
  } catch {
    return told('is not JSON')
  }
}

/** Reads the licence files of a package whose package.json has no licence or is unreadable. */
async function guessLicence(inspection: Inspection, names: readonly string[]): Promise<string | undefined> {
  const { place, findings } = inspection
  const hasManifest = findings.every(({ kind }) => kind !== 'manifest')
  const guesses = new Set<string>()
  for (const name of names) {
    try {
      const guess = licenceOfText(await readText(inspection, name, MOST_LICENCE_BYTES))
      if (guess !== undefined) guesses.add(guess)
    } catch (error) {
      findings.push(unreadable(`${place.path}/${name}`, error))
    }
  }
  const guess = guesses.size === 0 ? undefined : [...guesses].join(' OR ')
  if (hasManifest) {
    const files =
      names.length === 0 ? 'there is no licence file' : `${names.join(', ')} reads like ${guess ?? 'none known here'}`
    findings.push({ kind: 'licence', path: place.path, problem: `states no licence; ${files}` })
  }
  return guess
}

interface Size {
  files: number
  bytes: number
  /** Names of licence files at the top of the package. */
  readonly licenceFiles: string[]
}

/** Files of a package, without those of nested packages. Links are not followed. */
async function measure({ place, findings }: Inspection): Promise<Size> {
  const size: Size = { files: 0, bytes: 0, licenceFiles: [] }
  const folders = [place.directory]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const isTop = folder === place.directory
    try {
      const entries = await readdir(folder, { withFileTypes: true })
      for (const entry of entries) {
        if (entry.isDirectory() && !(isTop && entry.name === 'node_modules')) folders.push(join(folder, entry.name))
      }
      const files = entries.filter((entry) => entry.isFile())
      const sizes = await Promise.all(files.map(async ({ name }) => (await lstat(join(folder, name))).size))
      size.files += files.length
      size.bytes += sizes.reduce((a, b) => a + b, 0)
      if (isTop) size.licenceFiles.push(...files.map(({ name }) => name).filter(isLicenceFile))
    } catch (error) {
      findings.push(unreadable(slashed(join(place.path, relative(place.directory, folder))), error))
    }
  }
  size.licenceFiles.sort().splice(MOST_LICENCE_FILES)
  return size
}

/** The text of a file of the package, or the first `mostBytes` of it. */
async function readText(inspection: Inspection, name: string, mostBytes?: number): Promise<string> {
  const file = await open(join(inspection.place.directory, name))
  try {
    const start = mostBytes === undefined ? await file.readFile() : await file.read({ buffer: Buffer.alloc(mostBytes) })
    inspection.filesRead += 1
    return Buffer.isBuffer(start) ? start.toString('utf8') : start.buffer.toString('utf8', 0, start.bytesRead)
  } finally {
    await file.close()
  }
}

/** The package name of a folder: `node_modules/@a/b` gives `@a/b`. */
const nameByPath = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)

const unreadable = (path: string, error: unknown): Finding => ({
  kind: 'unreadable',
  path,
  problem: `cannot be read (${codeOf(error)})`,
})

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error)

const slashed = (path: string): string => path.split(sep).join('/')

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false // missing or not readable: there is nothing to audit
  }
}
