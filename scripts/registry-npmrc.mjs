/**
 * Prints an .npmrc for a container that is built on this machine: the registry, and the authorities that Node.js is told of here. No token and
 * no password is in it.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const registry = execFileSync('npm', ['config', 'get', 'registry'], {
  encoding: 'utf8',
  shell: process.platform === 'win32',
}).trim()
const file = process.env.NODE_EXTRA_CA_CERTS ?? ''
const certificates =
  file === ''
    ? []
    : (readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [])
const lines = [`registry=${registry}`, ...certificates.map((pem) => `ca[]="${pem.replaceAll('\n', '\\n')}"`)]
process.stdout.write(`${lines.join('\n')}\n`)
