/** Values as JSON, the same for the command and the control plane: what JSON has no form for is written as the nearest that it has. */

/** For JSON.stringify: texts for bigint and bytes (base64), a list for a Set, an object or a list of pairs for a Map. */
export function plainOf(this: unknown, _key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (value === undefined) return undefined
  if (value instanceof Set) return [...(value as ReadonlySet<unknown>)]
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  if (value instanceof Error && !('toJSON' in value)) return { name: value.name, message: value.message }
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<unknown, unknown>)]
    return entries.every(([key]) => typeof key === 'string')
      ? Object.fromEntries(entries as [string, unknown][])
      : entries
  }
  return value
}
