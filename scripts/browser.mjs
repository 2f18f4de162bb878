/**
 * The Chromium that tests of pages start: found on PATH, or installed where that is ours to do (as root, with apt-get). Nothing is downloaded by
 * other ways.
 */
import { spawnSync } from 'node:child_process'

const binaries = ['chromium', 'chromium-browser', 'google-chrome']

/** Which there is; undefined where none is. */
export function findBrowser() {
  return binaries.find((name) => {
    const { status, error } = spawnSync(name, ['--version'], { encoding: 'utf8' })
    return error === undefined && status === 0
  })
}

const missing = (reason) =>
  new Error(
    `the tests of pages start a ${binaries.join(', ')} from PATH, got none${reason}; ` +
      'install one (Debian: apt-get install chromium; Fedora: dnf install chromium; macOS: brew install --cask google-chrome) and run this again',
  )

/**
 * Installs Debian's chromium.
 * @param run runs a command: (what, command, args) => Promise
 * @throws Error that says what to install, where that cannot be done here or did not help
 */
export async function installBrowser(run) {
  if (process.getuid?.() !== 0) throw missing('')
  if (spawnSync('apt-get', ['--version']).error !== undefined) throw missing('')
  try {
    const apt = ['DEBIAN_FRONTEND=noninteractive', 'apt-get']
    await run('apt-get update', 'env', [...apt, 'update'])
    await run('apt-get install', 'env', [...apt, 'install', '-y', '--no-install-recommends', 'chromium'])
  } catch (error) {
    throw missing(`, and ${error.message}`)
  }
  if (findBrowser() === undefined) throw missing(' after installing what apt-get has')
}
