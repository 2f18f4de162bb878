/** What a session says of itself as the store keeps it: JSON, read back field by field, so that garbage is an error. */
import { GraflowError } from '../../../errors.js'
import type { SessionInfo } from '../../backend.js'

const ROLES: readonly SessionInfo['role'][] = ['auto', 'worker', 'leader', 'observer', 'client']

/** @throws GraflowError INTEGRITY for anything that is no info */
export function decodeInfo(bytes: Uint8Array): SessionInfo {
  const facts = new Map<string, unknown>(Object.entries(parsed(bytes)))
  const names = (name: string): readonly string[] | 'all' => {
    const value = facts.get(name)
    if (value === 'all') return value
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) throw wrong(name, value)
    return value
  }
  const text = (name: string): string => {
    const value = facts.get(name)
    if (typeof value !== 'string') throw wrong(name, value)
    return value
  }
  const role = ROLES.find((known) => known === facts.get('role'))
  if (role === undefined) throw wrong('role', facts.get('role'))
  return {
    baseId: text('baseId'),
    hostname: text('hostname'),
    pid: Number(facts.get('pid')),
    role,
    queues: names('queues'),
    capabilities: names('capabilities'),
    tasks: names('tasks'),
    metadata: textsIn(facts.get('metadata')),
    ...(typeof facts.get('buildId') === 'string' && { buildId: text('buildId') }),
  }
}

function parsed(bytes: Uint8Array): object {
  let found: unknown
  try {
    found = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString())
  } catch (error) {
    throw new GraflowError('INTEGRITY', 'expected what a session says of itself, got bytes that are no JSON', {
      cause: error,
    })
  }
  if (typeof found !== 'object' || found === null) throw wrong('info', found)
  return found
}

/** Copied pair by pair into an object that inherits nothing of what it was given. */
function textsIn(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null) throw wrong('metadata', value)
  const pairs = Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === 'string')
  return Object.fromEntries(pairs)
}

const wrong = (name: string, value: unknown): GraflowError =>
  new GraflowError('INTEGRITY', `what a session says of itself has no good "${name}": got ${typeof value}`)
