/** A session as one thing: what is opened with it, and in which order it is closed. */
import type { Backend, Grant } from '../../lib/backend/backend.js'
import { Emitter } from '../../lib/events.js'
import { DEFAULT_LIMITS } from '../../lib/options.js'
import type { BranchHolder } from '../../lib/session/holdings.js'
import { openSession, type Session } from '../../lib/session/open-session.js'
import { seededRandom } from '../../lib/time.js'
import { openFaulty, type Faulty } from '../support/faulty-store.js'

/** A store that notes what ends there, in order. */
function noting(faulty: Faulty): { readonly store: Backend; readonly ends: string[] } {
  const ends: string[] = []
  const own: Partial<Backend> = {
    listen: (session, listener) => {
      const stop = faulty.backend.listen(session, listener)
      return () => {
        ends.push('notices')
        stop()
      }
    },
    session: (request) => {
      if (request.kind === 'close') ends.push('session')
      return faulty.backend.session(request)
    },
    close: () => {
      ends.push('store')
      return faulty.near.close()
    },
  }
  const store = new Proxy(faulty.backend, {
    get: (target, name) => own[name as keyof Backend] ?? target[name as keyof Backend],
  })
  return { store, ends }
}

const open = (store: Backend, { clock }: Faulty, isEmbedded = false): Promise<Session> =>
  openSession({
    ...{ store, isEmbedded, clock, random: seededRandom(1), limits: DEFAULT_LIMITS, newId: () => 'id' },
    emitter: new Emitter(() => clock.now()),
    info: { baseId: 'one', role: 'worker', metadata: {}, queues: 'all', capabilities: [], tasks: 'all' },
  })

/** An executor that notes what it is asked. */
function executorThatNotes(): { readonly executor: BranchHolder; readonly notes: string[] } {
  const notes: string[] = []
  const executor: BranchHolder = {
    inFlight: 0,
    known: () => [{ gid: 'r/0', token: '7.n-1' }],
    abortGroup: (gid, _reason, token) => notes.push(`abort ${gid} ${token}`),
    wake: () => notes.push('wake'),
    receivePushed: (grant: Grant) => notes.push(`pushed ${grant.spec.gid}`),
    quiet: () => notes.push('quiet'),
    drained: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  }
  return { executor, notes }
}

describe('a session', () => {
  it('is registered under the name of its process, and renewed', async () => {
    const faulty = openFaulty()
    const session = await open(faulty.backend, faulty)
    await faulty.pass(30_000)
    expect([session.id, session.state]).toEqual(['one:id', 'registered'])
    expect(await faulty.near.inspect.sessions()).toMatchObject([{ session: 'one:id', pid: process.pid }])
    await session.close()
    expect(session.state).toBe('closed')
  })

  it('is closed in the reverse order of its opening, once', async () => {
    const faulty = openFaulty()
    const { store, ends } = noting(faulty)
    const session = await open(store, faulty)
    await Promise.all([session.close('stopped'), session.close()])
    expect(ends).toEqual(['notices', 'session', 'store'])
  })

  it('closes its store when it cannot be opened', async () => {
    const faulty = openFaulty()
    const { store, ends } = noting(faulty)
    faulty.cut()
    await expect(open(store, faulty)).rejects.toThrow('a cut wire')
    expect(ends).toEqual(['notices', 'store'])
  })

  it('closes its store in time when that is away', async () => {
    const faulty = openFaulty()
    const { store, ends } = noting(faulty)
    const session = await open(store, faulty)
    faulty.near.session = () => new Promise(() => undefined)
    const closed = session.close('stopped', 500)
    await faulty.pass(499)
    expect(ends).not.toContain('store')
    await faulty.pass(1)
    await closed
    expect(ends.at(-1)).toBe('store')
  })

  it('wakes its executor when it may take work, and when the store is there again; and stops what was reclaimed', async () => {
    const faulty = openFaulty()
    const session = await open(faulty.backend, faulty)
    const { executor, notes } = executorThatNotes()
    session.serve(executor)
    expect(notes).toEqual(['wake'])
    faulty.cut()
    faulty.mend()
    await faulty.pass(100)
    expect(notes).toEqual(['wake', 'wake', 'abort r/0 7.n-1']) // which the store never granted
    await session.close()
  })

  it('repeats calls of a store that is away, and announces events; an embedded one does neither', async () => {
    const faulty = openFaulty()
    const session = await open(faulty.backend, faulty)
    faulty.cut()
    const answer = session.backend.hasGraph('none')
    await faulty.pass(200)
    faulty.mend()
    await faulty.pass(2_000)
    expect(await answer).toBe(false)
    expect(session.announcer).toBeDefined()
    await session.close()
    const other = openFaulty()
    const embedded = await open(other.backend, other, true)
    expect([embedded.backend, embedded.announcer]).toEqual([other.backend, undefined])
    await embedded.close()
  })
})
