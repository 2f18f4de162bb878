/** A run and its first group in one call: which first steps go along, and what becomes of those that do not. */
import type { FirstGroup, GroupSpec, OpenAnswer } from '../../lib/backend/backend.js'
import { RunOpening } from '../../lib/producer/opening.js'
import { pack } from '../../lib/values/packed-items.js'

const first: FirstGroup = { spec: { gid: 'r/0' } as GroupSpec, inputs: pack([new Uint8Array(1)]) }
const group = { ...first, from: 0 }
const ok: OpenAnswer = { status: 'ok', token: '1.n-1', first: { status: 'ok', fill: 1 } }

/** An opening, and what was sent. */
function openingThatGets(answer: OpenAnswer | Error): { opening: RunOpening; sent: (FirstGroup | undefined)[] } {
  const sent: (FirstGroup | undefined)[] = []
  const opening = new RunOpening(async (along) => {
    sent.push(along)
    if (answer instanceof Error) throw answer
    return answer
  })
  return { opening, sent }
}

describe('the opening of a run', () => {
  it('takes the first group along that its driver dispatches in the same turn, however many microtasks later', async () => {
    const { opening, sent } = openingThatGets(ok)
    const answer = opening.answer()
    for (let i = 0; i < 50; i += 1) await Promise.resolve()
    expect(await opening.step({ group })).toEqual({ status: 'ok', fill: 1 })
    expect(await answer).toBe(ok)
    expect(sent).toEqual([first])
  })

  it('tells its token before the step is answered', async () => {
    const { opening } = openingThatGets(ok)
    const told: string[] = []
    opening.onToken((token) => told.push(token))
    await opening.step({ group })
    expect(told).toEqual(['1.n-1'])
  })

  it('is sent alone at the end of the turn; a later step is taken as any other', async () => {
    const { opening, sent } = openingThatGets({ status: 'ok', token: '1.n-1' })
    await opening.answer()
    expect(await opening.step({ group })).toBeUndefined()
    expect(sent).toEqual([undefined])
  })

  it.each([
    ['saves something', { group, save: { paths: ['0'], values: pack([new Uint8Array(1)]) } }],
    ['goes on with a group', { group: { ...group, from: 1 } }],
    ['has no group', {}],
  ])('is sent alone before a first step that %s', async (_, step) => {
    const { opening, sent } = openingThatGets({ status: 'ok', token: '1.n-1' })
    expect(await opening.step(step)).toBeUndefined()
    expect(sent).toEqual([undefined])
  })

  it('leaves the group to a step where the store does not say what became of it', async () => {
    const { opening } = openingThatGets({ status: 'ok', token: '1.n-1' })
    expect(await opening.step({ group })).toBeUndefined()
  })

  it.each([
    ['is refused', { status: 'exists', runId: 'r' } as const],
    ['fails', new Error('closed')],
  ])('fences its driver when it %s', async (_, answer) => {
    const { opening, sent } = openingThatGets(answer)
    expect(await opening.step({ group })).toEqual({ status: 'fenced' })
    expect(await opening.isOpened()).toBe(false)
    expect(sent).toHaveLength(1)
  })
})
