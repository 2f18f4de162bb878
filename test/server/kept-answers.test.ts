import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import { KeptAnswers, type KeyedRequest, nonceOf } from '../../lib/server/kept-answers.js'
import type { ServerServices } from '../../lib/server/services.js'
import { manualClock } from '../../lib/time.js'

const DAY_MS = 24 * 3_600_000

function kept() {
  const clock = manualClock(1_000_000)
  const store = openMemoryBackend({ clock })
  let ids = 0
  const services = { session: { store }, clock, newId: () => `id-${(ids += 1)}`, log: () => undefined }
  const answers = new KeptAnswers(services as unknown as ServerServices) // of which it needs these
  let done = 0
  const once = (request: KeyedRequest) =>
    answers.once(request, async () => ({ status: 200, headers: {}, body: `${(done += 1)}` }))
  return { clock, store, once }
}

const requestWith = (key: string): KeyedRequest => ({ key, method: 'POST', path: '/a', asked: '' })

/** So many requests whose answers stand in one collection. */
function together(count: number): readonly KeyedRequest[] {
  const found: KeyedRequest[] = []
  for (let i = 0; found.length < count; i += 1) {
    const request = requestWith(`key-${i}`)
    if (Number.parseInt(nonceOf(request).slice(0, 8), 16) % 16 === 3) found.push(request)
  }
  return found
}

describe('kept answers', () => {
  it('are kept for a day', async () => {
    const { clock, once } = kept()
    expect(await once(requestWith('a'))).toMatchObject({ body: '1' })
    clock.advance(DAY_MS)
    expect(await once(requestWith('a'))).toMatchObject({ body: '1' })
    clock.advance(1)
    expect(await once(requestWith('a'))).toMatchObject({ body: '2' })
  })

  it('are so many at most: the oldest go', async () => {
    const { store, once } = kept()
    const requests = together(520)
    for (const request of requests) await once(request)
    const names = await store.inspect.documentNames('answers-3')
    expect(names).toHaveLength(501) // with the one that names the others
    expect(await once(requests[519] ?? requestWith(''))).toMatchObject({ body: '520' })
    expect(await once(requests[20] ?? requestWith(''))).toMatchObject({ body: '21' })
    expect(await once(requests[19] ?? requestWith(''))).toMatchObject({ body: '521' })
  })

  it('are deleted a day later, by the next command', async () => {
    const { clock, store, once } = kept()
    const [first, second, third] = together(3)
    for (const request of [first, second]) if (request !== undefined) await once(request)
    clock.advance(DAY_MS + 1)
    if (third !== undefined) await once(third)
    expect(await store.inspect.documentNames('answers-3')).toHaveLength(2)
  })
})
