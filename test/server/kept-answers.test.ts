import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import { BegunCommands } from '../../lib/server/begun-commands.js'
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

describe('what was begun with keys', () => {
  function begunAt(startMs: number) {
    const clock = manualClock(startMs)
    const store = openMemoryBackend({ clock })
    let ids = 0
    const services = { session: { store }, clock, newId: () => `id-${(ids += 1)}`, log: () => undefined }
    const commands = new BegunCommands(services as unknown as ServerServices) // of which it needs these
    let begun = 0
    const once = (key: string, asked = '') =>
      commands.once({ ...requestWith(key), asked }, async () => `${(begun += 1)}`)
    return { clock, store, once }
  }

  it('is found again for a day', async () => {
    const { clock, once } = begunAt(1_000_000)
    expect(await once('a')).toEqual({ begun: '1', isRepeat: false })
    clock.advance(DAY_MS)
    expect(await once('a')).toEqual({ begun: '1', isRepeat: true })
    clock.advance(1)
    expect(await once('a')).toEqual({ begun: '2', isRepeat: false })
  })

  it('tells whoever comes with something else what the key has begun', async () => {
    const { once } = begunAt(1_000_000)
    await once('a')
    expect(await once('a', 'other')).toEqual({ begun: '2', isRepeat: true })
    expect(await once('a')).toEqual({ begun: '1', isRepeat: true })
  })

  it('is begun anew where its list is damaged, and kept again', async () => {
    const { store, once } = begunAt(1_000_000)
    await once('a')
    for (let i = 0; i < 64; i += 1) {
      const collection = `begun-${i}`
      const names = await store.inspect.documentNames(collection)
      const put = names.map((name) => ({ name, bytes: new TextEncoder().encode('[null,{"at":"1"},5]') }))
      await store.writeDocuments({ collection, nonce: 'damage', put, remove: [] })
    }
    expect(await once('a')).toEqual({ begun: '2', isRepeat: false })
    expect(await once('a')).toEqual({ begun: '2', isRepeat: true })
  })

  it('is some thousand at most, in small documents', async () => {
    const { store, once } = begunAt(1_000_000)
    for (let i = 0; i < 10_000; i += 1) await once(`key-${i}`)
    let [count, largest] = [0, 0]
    for (let i = 0; i < 64; i += 1) {
      const names = await store.inspect.documentNames(`begun-${i}`)
      expect(names.length).toBeLessThanOrEqual(16)
      for (const bytes of (await store.inspect.documents(`begun-${i}`, names)).documents) {
        largest = Math.max(largest, bytes?.length ?? 0)
        count += (JSON.parse(Buffer.from(bytes ?? []).toString()) as unknown[]).length
      }
    }
    expect(count).toBeGreaterThan(6_000)
    expect(count).toBeLessThanOrEqual(64 * 16 * 8)
    expect(largest).toBeLessThan(2_048)
    expect(await once('key-9999')).toMatchObject({ isRepeat: true })
  })

  it('is begun anew where what was kept is damaged', async () => {
    const { store, once } = begunAt(1_000_000)
    await once('a')
    for (let i = 0; i < 64; i += 1) {
      const collection = `begun-${i}`
      for (const name of await store.inspect.documentNames(collection))
        await store.writeDocuments({
          collection,
          nonce: 'n',
          put: [{ name, bytes: Buffer.from('{"a":1}') }],
          remove: [],
        })
    }
    expect(await once('a')).toEqual({ begun: '2', isRepeat: false })
  })
})
