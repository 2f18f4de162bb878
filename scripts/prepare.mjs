/**
 * The work behind scripts/setup.mjs: installs when node_modules is not what the lock file says, builds when dist/ is not what the
 * sources say, and else does nothing, fast and silently. Decides by content, never by file times. Any number of them may run at
 * once: one works, the others wait and then find nothing left to do.
 */
import { spawn } from 'node:child_process'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expectedOutputs, root, sourcesHash } from './dist.mjs'

const lockPath = join(root, '.cache/setup.lock')
const beatMs = 2_000
/** A holder that has not touched its lock for this long is gone, whatever its process id says. */
const silentMs = 30_000

const readOr = (path, otherwise) => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return otherwise
    throw error
  }
}

/** npm writes node_modules/.package-lock.json last of all, so it tells what is wholly installed. */
function isInstalled() {
  const note = readOr(join(root, 'node_modules/.package-lock.json'))
  if (note === undefined) return false
  const here = JSON.parse(note).packages
  const { '': self, ...wanted } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const sameNames = (a = {}, b = {}) =>
    JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort())
  // Then the lock file itself is behind: npm ci says so, better than we could.
  if (!['dependencies', 'devDependencies'].every((kind) => sameNames(self[kind], manifest[kind]))) return false
  return (
    Object.keys(here).every((path) => wanted[path] !== undefined) &&
    Object.entries(wanted).every(([path, { version, integrity, optional, devOptional }]) =>
      here[path] === undefined
        ? (optional ?? devOptional ?? false) // made for another platform
        : here[path].version === version && here[path].integrity === integrity,
    )
  )
}

const isBuilt = () =>
  readOr(join(root, '.cache/build-stamp')) === sourcesHash() &&
  expectedOutputs().every((output) => existsSync(join(root, output)))

/** Runs a command and shows what it printed only when it fails. */
function quietly(what, command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    })
    const printed = []
    child.stdout.on('data', (chunk) => printed.push(chunk))
    child.stderr.on('data', (chunk) => printed.push(chunk))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) return resolve()
      process.stderr.write(Buffer.concat(printed))
      reject(new Error(`${what} failed (${signal ?? `exit code ${code}`})`))
    })
  })
}

const steps = [
  {
    done: isInstalled,
    did: 'installed dependencies',
    run: () => quietly('npm ci', 'npm', ['ci', '--no-audit', '--no-fund']),
  },
  { done: isBuilt, did: 'built dist', run: () => quietly('the build', process.execPath, ['scripts/build.mjs']) },
]

function isStale(holder) {
  const [pid, host] = holder.split(' ')
  if (Date.now() - statSync(lockPath).mtimeMs > silentMs) return true
  if (host !== hostname() || !/^\d+$/.test(pid)) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH'
  }
}

/** Takes away a lock whose holder is gone. Two may try at once: the rename decides, and who got a fresh lock by it puts it back. */
function bury(holder) {
  const grave = `${lockPath}.${process.pid}`
  renameSync(lockPath, grave)
  if (readFileSync(grave, 'utf8') !== holder) linkSync(grave, lockPath)
  rmSync(grave)
}

async function lock() {
  mkdirSync(join(root, '.cache'), { recursive: true })
  const mine = `${process.pid} ${hostname()} ${Date.now()}`
  for (let hasSaidSo = false; ; await sleep(100)) {
    try {
      writeFileSync(lockPath, mine, { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    try {
      const holder = readFileSync(lockPath, 'utf8')
      if (isStale(holder)) bury(holder)
      else if (!hasSaidSo) {
        hasSaidSo = true
        console.error(`setup: waiting for process ${holder.split(' ')[0]}, which sets up this folder`)
      }
    } catch (error) {
      if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error // else its holder ended just now
    }
  }
  const beat = setInterval(() => {
    try {
      utimesSync(lockPath, new Date(), new Date())
    } catch {
      // Somebody took it for stale (a suspended machine): harmless, both do the same work.
    }
  }, beatMs)
  beat.unref()
  return () => {
    clearInterval(beat)
    if (readOr(lockPath) === mine) rmSync(lockPath, { force: true })
  }
}

/** Every step that is not done, in order. A later one may rest on an earlier one, so look only when its turn has come. */
async function setup() {
  if (steps.every(({ done }) => done())) return
  const unlock = await lock()
  const stop = (signal) => {
    unlock()
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    for (const { done, did, run } of steps) {
      if (done()) continue
      const startedAt = performance.now()
      await run()
      console.error(`setup: ${did} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
    }
  } finally {
    unlock()
  }
}

try {
  await setup()
} catch (error) {
  console.error(`setup: ${error.message}`)
  process.exitCode = 1
}
