/** A store as one process sees it that a test can take for dead: its sessions are renewed by this thread, and for a while by nobody. */
import type { Backend, KeepAlive, KeepAliveOptions } from '../../lib/backend/backend.js'
import { elapse, until } from './waits.js'
import { wired } from './wired-backend.js'

const RENEWAL_MS = 500
/** What a session has left that is renewed no more: as little as no sweep takes for a standstill of all. */
const LAST_MS = 400
const POLL_MS = 20

export class LosableStore {
  readonly backend: Backend
  readonly #near: Backend
  readonly #kept = new Map<string, Kept>()

  constructor(near: Backend) {
    this.#near = near
    this.backend = wired(near, { call: (_, send) => send() }, { keepAlive: (...of) => this.#keepAlive(...of) })
  }

  /** The store takes the process for dead, as if it had ended: what it held is started elsewhere. Then the process hears of it. */
  async lose(): Promise<void> {
    await Promise.all([...this.#kept].map(([session, kept]) => this.#lose(session, kept)))
  }

  async #lose(session: string, kept: Kept): Promise<void> {
    kept.isRenewed = false
    await this.#near.session({ kind: 'renew', session, ttlMs: LAST_MS })
    const isGone = async (): Promise<boolean> => {
      await elapse(POLL_MS)
      await this.#near.sweep(session)
      return (await this.#near.inspect.sessions()).every((known) => known.session !== session)
    }
    await until(isGone, `the store to take ${session} for dead`)
    kept.isRenewed = true
    await this.#renew(session, kept)
  }

  #keepAlive(session: string, { ttlMs, onLost }: KeepAliveOptions): KeepAlive {
    const timer = setInterval(() => void this.#renew(session, kept).catch(() => undefined), RENEWAL_MS) // it may be closed
    const kept: Kept = { ttlMs, onLost, isRenewed: true }
    this.#kept.set(session, kept)
    const stop = async (): Promise<void> => {
      clearInterval(timer)
      if (this.#kept.get(session) === kept) this.#kept.delete(session)
    }
    return { ready: Promise.resolve(), stop, lastRenewedAt: Number.POSITIVE_INFINITY }
  }

  async #renew(session: string, { isRenewed, ttlMs, onLost }: Kept): Promise<void> {
    if (!isRenewed) return
    const answer = await this.#near.session({ kind: 'renew', session, ttlMs })
    if (answer.status === 'nosession') onLost('session')
  }
}

interface Kept {
  readonly ttlMs: number
  readonly onLost: KeepAliveOptions['onLost']
  isRenewed: boolean
}
