/** Grants that the store has pushed: confirmed when they take long, refused when they were lost on their way. */
import type { Grant, SessionRequest } from '../../lib/backend/backend.js'
import { PendingGrants } from '../../lib/executor/pending-grants.js'
import { PushedGrants } from '../../lib/executor/pushed-grants.js'
import { ExecutorStage, nextTurn, withCalls } from './executor-stage.js'

async function openPushed(): Promise<{
  readonly stage: ExecutorStage
  readonly pushed: PushedGrants
  readonly pending: PendingGrants
  readonly taken: Grant[]
  readonly confirmed: string[][]
}> {
  const stage = await ExecutorStage.open()
  const taken: Grant[] = []
  const confirmed: string[][] = []
  const session = (request: SessionRequest): ReturnType<typeof stage.backend.session> => {
    if (request.kind === 'confirm') confirmed.push(request.grants.map(({ token }) => token))
    return stage.backend.session(request)
  }
  const backend = withCalls(stage.backend, { session })
  const pending = new PendingGrants(() => undefined)
  const pushed = new PushedGrants(stage.options({ backend }), {
    pending,
    take: (grant) => taken.push(grant),
    known: () => (pending.isNone ? taken.map(({ spec, token }) => ({ gid: spec.gid, token })) : undefined),
  })
  return { stage, pushed, pending, taken, confirmed }
}

describe('a pushed grant', () => {
  it('is taken, and confirmed once when it is still in hand after 300 ms', async () => {
    const { stage, pushed, taken, confirmed } = await openPushed()
    const [slow, quick] = [await stage.grant(1), await stage.grant(1)]
    pushed.receive(slow)
    pushed.receive(quick)
    expect(taken).toEqual([slow, quick])
    taken.pop()
    stage.clock.advance(299)
    expect(confirmed).toEqual([])
    stage.clock.advance(1)
    expect(confirmed).toEqual([[slow.token]])
    stage.clock.advance(10_000)
    expect(confirmed).toHaveLength(1)
    expect(stage.errors).toEqual([])
  })

  it('is confirmed later while it is not known what is in hand', async () => {
    const { stage, pushed, pending, confirmed } = await openPushed()
    const grant = await stage.grant(1)
    pending.begin()
    pushed.receive(grant)
    stage.clock.advance(300)
    expect(confirmed).toEqual([])
    pending.end()
    stage.clock.advance(300)
    expect(confirmed).toEqual([[grant.token]])
  })

  it('is not confirmed after the end', async () => {
    const { stage, pushed, confirmed } = await openPushed()
    pushed.receive(await stage.grant(1))
    pushed.stop()
    stage.clock.advance(1_000)
    expect(confirmed).toEqual([])
  })

  it('that could not be confirmed is an error that somebody is told of', async () => {
    const { stage, pushed } = await openPushed()
    pushed.receive(await stage.grant(1))
    await stage.backend.close()
    stage.clock.advance(300)
    await nextTurn()
    expect(stage.errors).toMatchObject([{ code: 'CLOSED' }])
  })

  it('that was lost before its arrival is refused, once', async () => {
    const { stage, pushed, taken } = await openPushed()
    const grant = await stage.grant(1)
    pushed.refuse(grant.token)
    pushed.receive(grant)
    expect(taken).toEqual([])
    pushed.receive(grant)
    expect(taken).toEqual([grant])
  })

  it('is refused as one of the last 1000 that were lost', async () => {
    const { stage, pushed, taken } = await openPushed()
    const [first, second] = [await stage.grant(1), await stage.grant(1)]
    pushed.refuse(first.token)
    pushed.refuse(second.token)
    for (let i = 0; i < 999; i += 1) pushed.refuse(`other.${i}`)
    pushed.receive(first)
    pushed.receive(second)
    expect(taken).toEqual([first])
  })
})
