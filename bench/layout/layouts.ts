/** The layouts by name, and a connection with their scripts. */
import { Redis } from 'ioredis'
import { flush, type Layout, type LayoutName } from './layout.js'
import { compactLayout, packedLayout } from './packed-layout.js'
import { perBranchLayout } from './per-branch-layout.js'

export const LAYOUTS: Readonly<Record<LayoutName, Layout>> = {
  packed: packedLayout,
  compact: compactLayout,
  'per-branch': perBranchLayout,
}

/** A connection that fails instead of trying again: a benchmark has no use for a second connection. */
export async function connectTo(socket: string): Promise<Redis> {
  const redis = new Redis(socket, {
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: false,
  })
  await redis.connect()
  return redis
}

export async function loadScripts(redis: Redis, layout: Layout): Promise<void> {
  await flush(
    redis,
    layout.scripts.map(({ source }) => ['SCRIPT', 'LOAD', source]),
  )
}
