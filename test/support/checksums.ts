/** What stands beside saved outputs, as a newer release would write it. */
import { crc32 } from 'node:zlib'

/** The same checksums under another version, whole in themselves. */
export function ofVersion(version: number, checksums: Uint8Array): Buffer {
  const bytes = Buffer.from(checksums)
  bytes.writeUInt8(version)
  bytes.writeUInt32LE(crc32(bytes.subarray(5), version), 1)
  return bytes
}
