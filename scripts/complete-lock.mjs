/**
 * Adds to package-lock.json what `npm install` left out: optional packages made for other platforms, when the registry it asked does
 * not carry them. Without these entries `npm ci` refuses the lock file. They have a version and a platform but no integrity, which only
 * a registry that has them can tell. Run it after every `npm install`; a second run changes nothing. A test says when it is due.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './dist.mjs'

const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'openharmony', 'sunos', 'win32']
const processors = ['arm', 'arm64', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64']

/** What the name of a binary package says about where it runs: `@swc/core-linux-arm-gnueabihf` → linux, arm, glibc. */
function platformOf(name) {
  const words = name.split('/').at(-1).split('-')
  const os = systems.find((system) => words.includes(system))
  const cpu = processors.find((processor) => words.includes(processor))
  if (os === undefined || cpu === undefined)
    throw new Error(`cannot tell the platform of ${name}: complete package-lock.json by hand`)
  const libc = os !== 'linux' ? {} : { libc: words.some((word) => word.startsWith('musl')) ? ['musl'] : ['glibc'] }
  return { os: [os], cpu: [cpu], ...libc }
}

/** Where Node.js would look for `name` from the package at `path`, nearest first. */
function* placesFor(name, path) {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    yield folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`
    if (folder === '') return
  }
}

const path = join(root, 'package-lock.json')
const lock = JSON.parse(readFileSync(path, 'utf8'))
const added = []
for (const [parent, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const places = [...placesFor(name, parent)]
    if (places.some((place) => lock.packages[place] !== undefined)) continue
    if (!/^\d+\.\d+\.\d+$/.test(version))
      throw new Error(`${parent} wants ${name}@${version}, which is no exact version`)
    lock.packages[places.at(-1)] = { version, ...platformOf(name), ...(dev ? { dev } : {}), optional: true }
    added.push(`${name}@${version}`)
  }
}
if (added.length > 0) {
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1))
  writeFileSync(path, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`)
}
console.log(added.length === 0 ? 'the lock file is complete' : `added ${added.length}: ${added.join(', ')}`)
