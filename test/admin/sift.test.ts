import type { ListedRun, RunQuery } from '../../lib/backend/backend.js'
import { sifted } from '../../lib/admin/sift.js'
import type { RunWait } from '../../lib/producer/types.js'

/** A store with so many runs, of which those with these numbers wait for a signal. */
function storeOf(count: number, waiting: readonly number[]) {
  let looked = 0
  const runs = async ({ limit, after = '-1' }: RunQuery) => {
    const from = Number(after) + 1
    const items = Array.from({ length: Math.min(limit, count - from) }, (_, i) => {
      return { runId: `r${from + i}`, position: String(from + i) } as ListedRun // of which only these are read
    })
    const last = from + items.length
    return { items, ...(last < count && { after: String(last - 1) }) }
  }
  const waitsOf = async (runId: string): Promise<readonly RunWait[]> => {
    looked += 1
    const why = waiting.includes(Number(runId.slice(1))) ? 'signal' : 'busy'
    return [{ runId, path: '', count: 1, since: new Date(0), why, details: {} }]
  }
  const inspect = { runs, run: async () => undefined }
  const list = sifted({ backend: { inspect }, waitsOf }, { why: ['signal'] })
  const page = async (limit: number, after?: string) => {
    const { items, after: next } = await list.runs({ limit, ...(after !== undefined && { after }) })
    return [items.map(({ runId }) => runId), next]
  }
  return { page, looked: () => looked }
}

describe('runs that are looked at one by one', () => {
  it('O4: are looked at until a page is full, and the next one goes on right behind it', async () => {
    const { page } = storeOf(100, [3, 5, 40, 41, 99])
    expect(await page(2)).toEqual([['r3', 'r5'], '5'])
    expect(await page(2, '5')).toEqual([['r40', 'r41'], '41'])
    expect(await page(2, '41')).toEqual([['r99'], undefined])
    expect(await page(5)).toEqual([['r3', 'r5', 'r40', 'r41', 'r99'], undefined])
  })

  it('O4: are so many a page at most, which then has a cursor, however few it has found', async () => {
    const { page, looked } = storeOf(5_000, [4, 2_000])
    expect(await page(50)).toEqual([['r4'], '1023'])
    expect(looked()).toBe(1_024)
    expect(await page(50, '1023')).toEqual([['r2000'], '2047'])
    expect(await page(50, '4991')).toEqual([[], undefined])
  })
})
