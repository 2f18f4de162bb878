/** A group's spec as the store keeps it and every grant brings it along: JSON, read back field by field, so that garbage is an error. */
import { GraflowError } from '../../../errors.js'
import type { GroupSpec, ReleaseRule } from '../../backend.js'
import { termsIn } from './run-terms.js'

export const encodeSpec = (spec: GroupSpec): string => JSON.stringify(spec)

const RULES: readonly ReleaseRule[] = ['all', 'first-failure', 'first-success']

/** @throws GraflowError INTEGRITY for anything that is no spec */
export function decodeSpec(bytes: Uint8Array): GroupSpec {
  let found: unknown
  try {
    found = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString())
  } catch (error) {
    throw new GraflowError('INTEGRITY', 'expected the spec of a group, got bytes that are no JSON', { cause: error })
  }
  if (typeof found !== 'object' || found === null) throw wrong('spec', found)
  const facts = found as Readonly<Record<string, unknown>> // whatever the fields hold: each is looked at below
  const text = (name: string): string => {
    const value = facts[name]
    if (typeof value !== 'string') throw wrong(name, value)
    return value
  }
  const number = (name: string): number => {
    const value = facts[name]
    if (typeof value !== 'number') throw wrong(name, value)
    return value
  }
  const names = (name: string): readonly string[] => {
    const value = facts[name]
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) throw wrong(name, value)
    return value
  }
  const rule = RULES.find((known) => known === facts['rule'])
  if (rule === undefined) throw wrong('rule', facts['rule'])
  const affinity = facts['affinity']
  return {
    gid: text('gid'),
    runId: text('runId'),
    graph: text('graph'),
    node: text('node'),
    digest: text('digest'),
    size: number('size'),
    shared: facts['shared'] === true,
    rule,
    queue: text('queue'),
    requires: names('requires'),
    tasks: names('tasks'),
    ...(facts['isOneTask'] === true && { isOneTask: true }),
    ...(facts['endsRun'] === true && { endsRun: true }),
    ...(facts['isForwarded'] === true && { isForwarded: true }),
    ...(affinity !== undefined && { affinity: text('affinity') }),
    priority: number('priority'),
    depth: number('depth'),
    limit: number('limit'),
    attempts: number('attempts'),
    maxLosses: number('maxLosses'),
    timeoutMs: number('timeoutMs'),
    ...(facts['trace'] !== undefined && { trace: text('trace') }),
    ...(facts['item'] !== undefined && { item: number('item') }),
    ...(facts['run'] !== undefined && { run: termsIn(facts['run']) }),
  }
}

const wrong = (name: string, value: unknown): GraflowError =>
  new GraflowError('INTEGRITY', `the spec of a group has no good "${name}": got ${typeof value}`)
