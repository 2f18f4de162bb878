/** Run as a process of its own by compressed-graph.test.ts: what 8 MiB that inflate to 8 GiB cost, in peak memory and in error. */
import { constants, deflateRawSync } from 'node:zlib'
import { GraflowError } from '../../lib/errors.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { compressGraph, decompressGraph } from '../../lib/graph/compressed-graph.js'
import { L3 } from './everything.js'

const MIB = 1024 * 1024

/** A valid zlib stream but for its end: a flushed block of zeros may be repeated as often as one likes. */
export function bombOf(bytes: number): Uint8Array {
  const block = deflateRawSync(new Uint8Array(16 * MIB), { finishFlush: constants.Z_FULL_FLUSH })
  const blocks = Array.from({ length: Math.floor((bytes - 8) / block.length) }, () => block)
  return Buffer.concat([Buffer.from([0x78, 0x9c]), ...blocks, Buffer.from([0x03, 0x00, 0, 0, 0, 1])])
}

if (process.argv.includes('--measure')) {
  const { bytes, hash } = compressGraph(graphOf(L3))
  decompressGraph(bytes, hash)
  const bomb = bombOf(8 * MIB)
  const peakKiB = (): number => process.resourceUsage().maxRSS
  const before = peakKiB()
  let reason: unknown
  try {
    decompressGraph(bomb, hash)
  } catch (error) {
    reason = error instanceof GraflowError && error.details['reason']
  }
  console.log(JSON.stringify({ bomb: bomb.length, reason, costMiB: (peakKiB() - before) / 1024 }))
}
