/** Collections of documents: changed as a whole, and only as the caller has seen them where it says so. */
import type { Backend, DocumentsAnswer, DocumentsRequest } from '../../lib/backend/backend.js'
import { bytes, text, type UseWorld, type World } from '../support/world.js'

const write = (
  world: World,
  put: Readonly<Record<string, string>>,
  facts: Partial<DocumentsRequest> = {},
): Promise<DocumentsAnswer> =>
  world.backend.writeDocuments({
    ...{ collection: 'c', nonce: world.nonce(), remove: [] },
    put: Object.entries(put).map(([name, value]) => ({ name, bytes: bytes(value) })),
    ...facts,
  })

async function read({ inspect }: Backend, ...names: string[]): Promise<[revision: number, ...(string | undefined)[]]> {
  const { revision, documents } = await inspect.documents('c', names)
  return [revision, ...documents.map((one) => (one === undefined ? undefined : text(one)))]
}

export function describeDocuments(useWorld: UseWorld): void {
  it('are put, replaced and removed in one change, which has a number', async () => {
    const world = await useWorld()
    expect(await read(world.backend, 'a')).toEqual([0, undefined])
    expect(await write(world, { a: '1', '#': 'odd', '': 'empty' })).toEqual({ status: 'ok', revision: 1 })
    expect(await write(world, { a: '2', b: '3' }, { remove: ['', 'none'] })).toEqual({ status: 'ok', revision: 2 })
    expect(await read(world.backend, 'b', 'none', 'a', '#', '')).toEqual([2, '3', undefined, '2', 'odd', undefined])
    expect([...(await world.backend.inspect.documentNames('c'))].sort()).toEqual(['#', 'a', 'b'])
    expect(await world.backend.inspect.documentNames('other')).toEqual([])
    expect(await world.backend.inspect.documents('c', [])).toEqual({ revision: 2, documents: [] })
  })

  it('are left as they are where another has changed the collection since it was read', async () => {
    const world = await useWorld()
    expect(await write(world, { a: '1' }, { ifRevision: 1 })).toEqual({ status: 'conflict', revision: 0 })
    expect(await write(world, { a: '1' }, { ifRevision: 0 })).toEqual({ status: 'ok', revision: 1 })
    expect(await write(world, { a: '2' }, { ifRevision: 0, remove: ['a'] })).toEqual({
      status: 'conflict',
      revision: 1,
    })
    expect(await read(world.backend, 'a')).toEqual([1, '1'])
  })

  it('are changed once by a call that is repeated', async () => {
    const world = await useWorld()
    const once = { nonce: 'n', ifRevision: 0 }
    expect(await write(world, { a: '1' }, once)).toEqual({ status: 'ok', revision: 1 })
    expect(await write(world, { a: '1' }, once)).toEqual({ status: 'ok', revision: 1 })
    expect(await read(world.backend, 'a')).toEqual([1, '1'])
    await write(world, { b: '1' })
    expect(await write(world, { a: '1' }, once)).toEqual({ status: 'conflict', revision: 2 })
  })

  it('are changed by one of several that have read the same', async () => {
    const world = await useWorld()
    const answers = await Promise.all(['x', 'y', 'z'].map((value) => write(world, { a: value }, { ifRevision: 0 })))
    expect(answers.map(({ status }) => status).sort()).toEqual(['conflict', 'conflict', 'ok'])
  })

  it('carry any bytes', async () => {
    const world = await useWorld()
    const odd = Uint8Array.from({ length: 256 }, (_, i) => i)
    await world.backend.writeDocuments({ collection: 'c', nonce: 'n', put: [{ name: 'odd', bytes: odd }], remove: [] })
    expect((await world.backend.inspect.documents('c', ['odd'])).documents).toEqual([odd])
  })
}
