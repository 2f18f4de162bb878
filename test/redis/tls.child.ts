/** Connects to the address given and keeps a session alive over TLS: a process of its own, because whom it trusts is decided when it starts. */
import { openRedisBackend } from '../../lib/backend/redis/redis-backend.js'
import { until } from '../support/waits.js'

const [address = ''] = process.argv.slice(2)
const backend = await openRedisBackend({ address, keyPrefix: 'tls' })
const info = {
  hostname: 'host',
  pid: 1,
  role: 'client',
  queues: [],
  capabilities: [],
  tasks: [],
  metadata: {},
} as const
await backend.session({ kind: 'open', session: 's', ttlMs: 300, info: { baseId: 's', ...info } })
const kept = backend.keepAlive('s', { ttlMs: 300, onLost: (what) => console.log(`lost ${what}`) })
const before = kept.lastRenewedAt
await until(() => kept.lastRenewedAt !== before, 'a renewal')
console.log(`renewed ${(await backend.inspect.sessions()).length}`)
await kept.stop()
await backend.close()
