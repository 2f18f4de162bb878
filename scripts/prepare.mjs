/**
 * The work behind scripts/setup.mjs: installs when node_modules is not what the lock file says, builds when dist/ is not what the
 * sources say (not with `--no-build`), sees to it (with `--redis`, `--browser`) that there is a redis-server, a Chromium to test with, and else does nothing,
 * fast and silently. Decides by content, never by file times. Any number of them may run at once: one works, the others wait and then find nothing left to do.
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
import { findBrowser, installBrowser } from './browser.mjs'
import { findRedis, installRedis } from './redis.mjs'

const lockPath = join(root, '.cache/setup.lock')
const beatMs = 2_000
const pollMs = 100
/**
 * A holder that leaves its lock untouched while another process looks this often is gone, whatever its process id says. Counted, not
 * measured: after a suspended machine wakes, the holder has as many turns as who waits for it.
 */
const patience = 300

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
        : here[path].version === version && [undefined, here[path].integrity].includes(integrity),
    )
  )
}

const isBuilt = () =>
  readOr(join(root, '.cache/build-stamp')) === sourcesHash() &&
  expectedOutputs().every((output) => existsSync(join(root, output)))

let child

/** Runs a command and shows what it printed only when it fails. */
function quietly(what, command, args) {
  return new Promise((resolve, reject) => {
    child = spawn(command, args, {
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
  // first: who has to install something by hand is told so at once
  ...(process.argv.includes('--redis')
    ? [
        {
          isDone: () => findRedis().isUsable,
          doing: 'installing redis-server',
          did: 'installed redis-server',
          run: () => installRedis(quietly),
        },
      ]
    : []),
  ...(process.argv.includes('--browser')
    ? [
        {
          isDone: () => findBrowser() !== undefined,
          doing: 'installing chromium',
          did: 'installed chromium',
          run: () => installBrowser(quietly),
        },
      ]
    : []),
  {
    isDone: isInstalled,
    doing: 'installing dependencies',
    did: 'installed dependencies',
    // A machine set to production would leave out what the tests need.
    run: () => quietly('npm ci', 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund']),
  },
  // who builds anyway needs only what it takes
  ...(process.argv.includes('--no-build')
    ? []
    : [
        {
          isDone: isBuilt,
          doing: 'building dist',
          did: 'built dist',
          run: () => quietly('the build', process.execPath, ['scripts/build.mjs']),
        },
      ]),
]

/** Whether the holder is a process of this machine that has ended. */
function isGone(holder) {
  const [pid, host] = holder.split(' ')
  if (host !== hostname()) return false
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
  try {
    if (readFileSync(grave, 'utf8') !== holder) linkSync(grave, lockPath)
  } finally {
    rmSync(grave)
  }
}

async function lock() {
  mkdirSync(join(root, '.cache'), { recursive: true })
  const mine = `${process.pid} ${hostname()} ${Date.now()}`
  let seen
  let unchanged = 0
  for (let hasSaidSo = false; ; await sleep(pollMs)) {
    try {
      writeFileSync(lockPath, mine, { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    try {
      const holder = readFileSync(lockPath, 'utf8')
      const now = `${holder} ${statSync(lockPath).mtimeMs}`
      unchanged = now === seen ? unchanged + 1 : 0
      seen = now
      if (isGone(holder) || unchanged >= patience) bury(holder)
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
      // Taken from us: whoever did it found us silent for long. What we do is still right, and may be done twice.
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
  if (steps.every(({ isDone }) => isDone())) return
  const unlock = await lock()
  // The child ends first, so that nobody takes the lock while it still writes.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => child?.kill(signal))
  try {
    for (const { isDone, doing, did, run } of steps) {
      if (isDone()) continue
      const startedAt = performance.now()
      const isLive = process.stderr.isTTY
      if (isLive) process.stderr.write(`setup: ${doing} …`)
      await run().finally(() => isLive && process.stderr.write('\r\u001b[K'))
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
