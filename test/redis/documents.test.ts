/** Collections of documents on Redis against their model, the kernel: one seeded sequence of changes is answered alike, and leaves the same. */
import type { Backend, DocumentsRequest } from '../../lib/backend/backend.js'
import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import { manualClock, seededRandom } from '../../lib/time.js'
import { useBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { bytes } from '../support/world.js'

const stage = useBackend()
const NAMES = ['a', 'b', '#', '']

describe('documents', () => {
  it('are the same in both stores after any changes', async () => {
    const random = seededRandom(1)
    const below = (count: number): number => Math.floor(random() * count)
    const some = (): readonly string[] => NAMES.filter(() => random() < 0.4)
    const { backend } = await stage(await sharedRedis())
    const both: readonly Backend[] = [openMemoryBackend({ clock: manualClock() }), backend]
    const statuses = new Set<string>()
    let last: DocumentsRequest | undefined
    let revision = 0
    for (let n = 0; n < 60; n += 1) {
      const fresh: DocumentsRequest = {
        ...{ collection: 'c', nonce: `n${n}`, remove: some() },
        put: some().map((name) => ({ name, bytes: bytes(`${name}${n}`) })),
        ...(random() < 0.7 && { ifRevision: Math.max(0, revision - below(2)) }),
      }
      const request = last !== undefined && random() < 0.2 ? last : fresh
      const [own, theirs] = await Promise.all(both.map((one) => one.writeDocuments(request)))
      expect(theirs).toEqual(own)
      statuses.add(own?.status ?? '')
      revision = own?.status === 'ok' || own?.status === 'conflict' ? own.revision : revision
      last = request
      const [left, right] = await Promise.all(both.map(({ inspect }) => inspect.documents('c', NAMES)))
      expect(right).toEqual(left)
    }
    expect([...statuses].sort()).toEqual(['conflict', 'ok'])
    await both[0]?.close()
  })
})
