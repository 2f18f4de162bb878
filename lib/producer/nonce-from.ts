/** How the store knows the repeat of a call that its caller has named. */
import { createHash } from 'node:crypto'

/** The same for the same key and call; for any other, another. */
export const nonceFrom = (key: string, ...call: readonly (string | undefined)[]): string =>
  createHash('sha256')
    .update(JSON.stringify([key, ...call]))
    .digest('hex')
    .slice(0, 32)
