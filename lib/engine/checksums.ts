/**
 * Checksums of saved outputs. A write that saves outputs carries one more value, beside the first of them: its own version and checksum, and a
 * checksum of each output. So the next holder of the branch knows what is damaged, or gone, and runs that step again. Outputs of older
 * releases have none and are taken as they are. Hides how a checksum is noted and found.
 */
import { crc32 } from 'node:zlib'
import type { SavedValues } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import { item } from '../values/packed-items.js'

const VERSION = 1
/** The version, and a checksum of what follows: at this place in every version. */
const HEAD_BYTES = 5
/** The checksum of an output and the length of its path. */
const ENTRY_BYTES = 6
const NAME = '!c'
/** In place of a path: the checksum is that of the run's input. */
const INPUT = '!i'

/** Whether a saved path holds checksums. */
export const isChecksums = (path: string): boolean => path.startsWith(NAME, path.lastIndexOf('/') + 1)

export type Output = readonly [path: string, output: Uint8Array]

/** An output that cannot be used: it was saved, and is not there, or is another one. */
export interface Fault {
  readonly code: 'CHECKPOINT_MISSING' | 'CHECKPOINT_CORRUPT'
  readonly path: string
}

/** What was saved of a branch, as far as it is what was saved. */
export interface CheckedOutputs {
  readonly outputs: ReadonlyMap<string, Uint8Array>
  readonly faults: readonly Fault[]
  /** Of the run's input; absent where none was noted. */
  readonly inputSum: number | undefined
}

/**
 * The value that vouches for these outputs, and the path where it is saved: beside the first of them.
 * @param input of the run, where it is vouched for, too
 * @param again beside an output that is saved anew, whose first checksums stay: what tells them apart
 */
export function checksumsOf(outputs: readonly Output[], input: Uint8Array | undefined, again: string): Output {
  const place = outputs[0]?.[0] ?? ''
  const entries: readonly Output[] = input === undefined ? outputs : [...outputs, [INPUT, input]]
  const paths = entries.map(([path]) => Buffer.from(path === place ? '' : path))
  const bytes = Buffer.allocUnsafe(paths.reduce((sum, path) => sum + ENTRY_BYTES + path.length, HEAD_BYTES))
  let at = HEAD_BYTES
  for (const [i, path] of paths.entries()) {
    at = bytes.writeUInt32LE(crc32(entries[i]?.[1] ?? ''), at)
    at = bytes.writeUInt16LE(path.length, at)
    at += path.copy(bytes, at)
  }
  bytes.writeUInt8(VERSION)
  bytes.writeUInt32LE(headSum(bytes), 1)
  return [`${place}/${NAME}${again}`, bytes]
}

/** Of the version and what follows the checksum. */
const headSum = (bytes: Uint8Array): number => crc32(bytes.subarray(HEAD_BYTES), bytes[0])

/**
 * Takes saved outputs apart from what vouches for them, and leaves out those that are damaged.
 * @param under the path that they were read at and below: what is vouched for elsewhere is not missed
 * @throws GraflowError CHECKPOINT_VERSION where a newer release has noted something that this one cannot read
 */
export function checkedOutputs(runId: string, under: string, saved: SavedValues): CheckedOutputs {
  const outputs = new Map<string, Uint8Array>()
  const sums = new Map<string, number[]>()
  const faults: Fault[] = []
  const damaged = new Set<string>()
  for (const [i, path] of saved.paths.entries()) {
    const value = item(saved.values, i)
    if (!isChecksums(path)) {
      outputs.set(path, value)
      continue
    }
    if (!readInto(sums, path, value)) damaged.add(placeOf(path))
    else if (value[0] !== VERSION) throw unknownVersion(runId, path, value[0] ?? 0)
  }
  const [inputSum] = sums.get(INPUT) ?? []
  sums.delete(INPUT)
  for (const path of damaged) if (!sums.has(path)) sums.set(path, [])
  for (const [path, known] of sums) {
    if (under !== '' && path !== under && !path.startsWith(`${under}/`)) continue
    const output = outputs.get(path)
    // The first output at a path stays; who came to it later had the same one, or vouched for another in vain.
    if (output !== undefined && known.includes(crc32(output))) continue
    outputs.delete(path)
    faults.push({ code: output === undefined ? 'CHECKPOINT_MISSING' : 'CHECKPOINT_CORRUPT', path })
  }
  return { outputs, faults, inputSum }
}

/** Where checksums lie that name an output of which this is so. Who deletes such outputs on purpose deletes them, too: they would be missed. */
export const checksumsNaming = ({ paths, values }: SavedValues, isSo: (path: string) => boolean): string[] =>
  paths.filter((path, i) => {
    const sums = new Map<string, number[]>()
    return isChecksums(path) && readInto(sums, path, item(values, i)) && [...sums.keys()].some(isSo)
  })

const placeOf = (path: string): string => path.slice(0, path.lastIndexOf('/'))

/** Adds the checksums that a value of this version holds; false where the value itself is damaged. */
function readInto(sums: Map<string, number[]>, path: string, value: Uint8Array): boolean {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (bytes.length < HEAD_BYTES || bytes.readUInt32LE(1) !== headSum(bytes)) return false
  if (bytes[0] !== VERSION) return true
  const place = placeOf(path)
  for (let at = HEAD_BYTES; at < bytes.length; ) {
    const sum = bytes.readUInt32LE(at)
    const end = at + ENTRY_BYTES + bytes.readUInt16LE(at + 4)
    const own = bytes.toString('utf8', at + ENTRY_BYTES, end)
    const of = own === '' ? place : own
    const known = sums.get(of)
    if (known === undefined) sums.set(of, [sum])
    else known.push(sum)
    at = end
  }
  return true
}

/** Whether an input is the one that was vouched for. */
export const isInput = ({ inputSum }: CheckedOutputs, input: Uint8Array): boolean =>
  inputSum === undefined || inputSum === crc32(input)

/** Why an output is not used, for the log. */
export const faultLine = (runId: string, { code, path }: Fault): string =>
  `${code}: the output of run ${runId} at ${path} was saved and ` +
  `${code === 'CHECKPOINT_MISSING' ? 'is gone' : 'is not what was saved'}: it is not used, and its step runs again`

/** The error of a run whose input is damaged, and whose first step is not finished: there is nothing to go on from. */
export const corruptInput = (runId: string): GraflowError =>
  new GraflowError(
    'CHECKPOINT_CORRUPT',
    `the input of run ${runId} is not what the run was started with, and no later step of it can go on without it: start it anew, under another id`,
    { details: { runId } },
  )

/** The error of a run whose root is gone: its record says that it is not over, and nothing is left that could be driven. */
export const missingRoot = (runId: string): GraflowError =>
  new GraflowError(
    'CHECKPOINT_MISSING',
    `run ${runId} is not over, and the store has lost where it stands: it cannot go on; cancel it, and start it anew`,
    { details: { runId } },
  )

const unknownVersion = (runId: string, path: string, version: number): GraflowError =>
  new GraflowError(
    'CHECKPOINT_VERSION',
    `what is saved of run ${runId} at ${path} has version ${version}, and this release reads version ${VERSION}: a process of the release that ` +
      'wrote it goes on with the run',
    { details: { runId, path, version, known: VERSION } },
  )
