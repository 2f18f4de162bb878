/**
 * The Redis that the tests start for themselves: found on PATH, or installed where that is ours to do (as root, with apt-get). Nothing
 * else of the machine changes: a service that the package starts is stopped again.
 */
import { spawnSync } from 'node:child_process'
import { connect } from 'node:net'

const oldest = 7
const usualPort = 6379
const binaries = ['redis-server', 'valkey-server']

/** Which there is, and whether the tests can use it. */
export function findRedis() {
  const found = binaries.flatMap((name) => {
    const { stdout, error } = spawnSync(name, ['--version'], { encoding: 'utf8' })
    const version = error === undefined ? /v=(\d+\.\S+)/.exec(stdout)?.[1] : undefined
    return version === undefined ? [] : [{ name, version }]
  })
  return { isUsable: found.some(({ version }) => Number.parseInt(version) >= oldest), found }
}

function missing({ found }, reason) {
  const got = found.length === 0 ? 'neither' : found.map(({ name, version }) => `${name} ${version}`).join(' and ')
  return new Error(
    `the tests start a redis-server or valkey-server ${oldest}.0 or newer from PATH, got ${got}${reason}; ` +
      'install one (Debian, Ubuntu: apt-get install redis-server; Fedora: dnf install valkey; macOS: brew install redis) and run this again',
  )
}

/**
 * Installs Debian's redis-server.
 * @param run runs a command: (what, command, args) => Promise
 * @throws Error that says what to install, where that cannot be done here or did not help
 */
export async function installRedis(run) {
  const before = findRedis()
  if (before.found.length > 0) throw missing(before, '')
  if (process.getuid?.() !== 0) throw missing(before, '')
  if (spawnSync('apt-get', ['--version']).error !== undefined) throw missing(before, '')
  const wasTaken = await isTaken(usualPort)
  try {
    const apt = ['DEBIAN_FRONTEND=noninteractive', 'apt-get']
    await run('apt-get update', 'env', [...apt, 'update'])
    await run('apt-get install', 'env', [...apt, 'install', '-y', '--no-install-recommends', 'redis-server'])
  } catch (error) {
    throw missing(before, `, and ${error.message}`)
  }
  if (!wasTaken && (await isTaken(usualPort))) {
    await run('stopping the service redis-server', 'service', ['redis-server', 'stop'])
    await run('disabling the service redis-server', 'update-rc.d', ['redis-server', 'disable'])
  }
  const after = findRedis()
  if (!after.isUsable) throw missing(after, ' after installing what apt-get has')
}

/** Whether somebody takes connections there. */
function isTaken(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
