/**
 * Renews the sessions of a process from a thread of its own, so that a handler that blocks the event loop loses nothing. keep-alive.ts starts
 * it from its text and says what its messages mean. So it is plain JavaScript that imports nothing but Node, wherever the package lies or is
 * bundled to; it speaks to Redis itself, in the few commands that it needs, which also keeps the thread small.
 *
 * For each store it has two connections: one renews, one is subscribed to T:alive:<session>, which ends with the process. When only the
 * second ends, the first one says so.
 */
import net from 'node:net'
import tls from 'node:tls'
import { parentPort } from 'node:worker_threads'

/** @typedef {{ link: number, session: string, ttlMs: number, args: (string | number)[], beat: BigInt64Array, renewedAt: number,
 *   isLost: boolean, isSubscribed: boolean, wasSubscribed: boolean, timer: NodeJS.Timeout | undefined, isStopped: boolean,
 *   underWay: Promise<void> }} Kept */

/** A process that is missed is looked at again so long after that is due, unless another has by then. */
const LOOK_MS = 10
const nowMs = () => Number(process.hrtime.bigint() / 1_000_000n)

/** Quick at first: who is not back within 200 ms of being missed is taken for dead, as far as others are back. */
const pauseMs = (times) => (times <= 20 ? Math.min(20 * 2 ** (times - 1), 150) : 500)

// ------------------------------------------------------------------------------------------------------------------- connections

/** A command as the Redis serialisation protocol (RESP 2) has requests. */
const encode = (words) =>
  [`*${words.length}`, ...words.flatMap((word) => [`$${Buffer.byteLength(String(word))}`, String(word)]), ''].join(
    '\r\n',
  )

/** What stands in the bytes from `at` on, and where it ends; undefined while it is not all there. An error of Redis is an Error. */
const decode = (bytes, at) => {
  const end = bytes.indexOf('\r\n', at)
  if (end < 0) return undefined
  const [kind, text, next] = [String.fromCharCode(bytes[at]), bytes.toString('utf8', at + 1, end), end + 2]
  if (kind === '+') return { value: text, next }
  if (kind === '-') return { value: new Error(text), next }
  if (kind === ':') return { value: Number(text), next }
  const count = Number(text)
  if (count < 0) return { value: null, next }
  if (kind === '$') {
    if (bytes.length < next + count + 2) return undefined
    return { value: bytes.toString('utf8', next, next + count), next: next + count + 2 }
  }
  if (kind !== '*') throw new Error('not Redis')
  const value = []
  let from = next
  for (let i = 0; i < count; i += 1) {
    const item = decode(bytes, from)
    if (item === undefined) return undefined
    value.push(item.value)
    from = item.next
  }
  return { value, next: from }
}

/** A user that may not ask, or a Redis that asks for no password, is fine. */
const HARMLESS = /^NOPERM|no password is set|without any password configured for the default user/

/** One connection, made anew for as long as it is open. What was on its way when it ended fails. */
class Connection {
  isReady = false
  #settings
  #name
  #onReady
  #onClose
  #socket
  #bytes = Buffer.alloc(0)
  #awaited = []
  #attempts = 0
  #timer
  #isEnded = false

  constructor(settings, name, { onReady, onClose }) {
    this.#settings = settings
    this.#name = name
    this.#onReady = onReady
    this.#onClose = onClose
    this.#open()
  }

  /** Resolves with the reply; rejects with the error of Redis, or when the connection ends. */
  send(...words) {
    return new Promise((resolve, reject) => {
      if (this.#socket === undefined) {
        reject(new Error('not connected'))
        return
      }
      this.#awaited.push({ resolve, reject })
      this.#socket.write(encode(words))
    })
  }

  /** Another is made. */
  drop() {
    this.#socket?.destroy()
  }

  end() {
    this.#isEnded = true
    clearTimeout(this.#timer)
    this.#socket?.destroy()
  }

  #open() {
    const { host, port, path, family, isTls, connectTimeoutMs } = this.#settings
    const place = path === undefined ? { host, port, ...(family !== undefined && { family }) } : { path }
    const socket = isTls ? tls.connect(place) : net.connect(place)
    this.#socket = socket
    this.#bytes = Buffer.alloc(0)
    this.#timer = setTimeout(() => socket.destroy(), connectTimeoutMs)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 10_000)
    socket.on('error', () => undefined) // it closes
    socket.on('data', (bytes) => this.#receive(socket, bytes))
    socket.once('close', () => this.#closed())
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      this.#greet().then(
        () => {
          if (this.#socket !== socket) return
          clearTimeout(this.#timer)
          this.#attempts = 0
          this.isReady = true
          this.#onReady()
        },
        () => socket.destroy(),
      )
    })
  }

  async #greet() {
    const { username, password, db } = this.#settings
    const fine = (error) => {
      if (!HARMLESS.test(error.message)) throw error
    }
    const asked = []
    if (password !== undefined) {
      asked.push(this.send('AUTH', ...(username === undefined ? [] : [username]), password).catch(fine))
    }
    asked.push(this.send('CLIENT', 'SETNAME', this.#name).catch(() => undefined))
    if (db !== 0) asked.push(this.send('SELECT', db))
    asked.push(this.send('PING').catch(fine)) // one that loads its file says so
    await Promise.all(asked)
  }

  #receive(socket, bytes) {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
    let at = 0
    try {
      for (let item = decode(this.#bytes, at); item !== undefined; item = decode(this.#bytes, at)) {
        at = item.next
        const awaited = this.#awaited.shift()
        if (item.value instanceof Error) awaited?.reject(item.value)
        else awaited?.resolve(item.value)
      }
      this.#bytes = this.#bytes.subarray(at)
    } catch {
      socket.destroy()
    }
  }

  #closed() {
    clearTimeout(this.#timer)
    this.#socket = undefined
    const wasReady = this.isReady
    this.isReady = false
    for (const { reject } of this.#awaited.splice(0)) reject(new Error('the connection is closed'))
    if (wasReady) this.#onClose()
    if (this.#isEnded) return
    this.#attempts += 1
    this.#timer = setTimeout(() => this.#open(), Math.ceil(pauseMs(this.#attempts) * (0.5 + Math.random() / 2)))
  }
}

// ------------------------------------------------------------------------------------------------------------------------- links

/** A store, and the sessions in it that are kept. */
class Link {
  /** @type {Map<string, Kept>} */
  kept = new Map()
  #settings
  #renewing
  #subscribed

  constructor(settings) {
    this.#settings = settings
    this.#renewing = new Connection(settings, 'graflow-renewal', {
      onReady: () => {
        for (const one of this.kept.values()) void this.#renew(one)
      },
      onClose: () => undefined,
    })
    this.#subscribed = new Connection(settings, 'graflow-alive', {
      onReady: () => {
        for (const session of this.kept.keys()) void this.#subscribe(session)
      },
      onClose: () => this.#cutOff(),
    })
  }

  keep(one) {
    const before = this.kept.get(one.session)
    if (before !== undefined) this.forget(before)
    this.kept.set(one.session, one)
    void this.#subscribe(one.session)
    void this.#renew(one)
  }

  /** @param {Kept} one */
  forget(one) {
    one.isStopped = true
    clearTimeout(one.timer)
    this.kept.delete(one.session)
    if (this.#subscribed.isReady) {
      return this.#subscribed.send('UNSUBSCRIBE', this.#settings.alivePrefix + one.session).catch(() => undefined)
    }
    return Promise.resolve()
  }

  /** Renewed before it is due, unless it cannot be or that is under way. */
  hurry(session) {
    const one = this.kept.get(session)
    if (one !== undefined && this.#renewing.isReady) void this.#renew(one)
  }

  end() {
    this.#renewing.end()
    this.#subscribed.end()
  }

  /** It is only this connection that ended: said at once, or else it would look like the end of the process. */
  #cutOff() {
    for (const one of this.kept.values()) {
      if (!one.isSubscribed) continue
      one.isSubscribed = false
      void this.#renew(one)
    }
  }

  /** From then on the end of this process is noticed at once: its subscription ends with its connection. */
  async #subscribe(session) {
    if (!this.#subscribed.isReady) return
    try {
      await this.#subscribed.send('SUBSCRIBE', this.#settings.alivePrefix + session)
    } catch {
      return // it follows with the next connection
    }
    const one = this.kept.get(session)
    if (one === undefined || !this.#subscribed.isReady) return
    one.isSubscribed = true
    one.wasSubscribed = true
    await this.#renew(one)
    parentPort.postMessage({ kind: 'ready', link: one.link, session })
  }

  /** A command that never settles is one that got no answer: the connection is given up. */
  async #answered(promise) {
    const { commandTimeoutMs } = this.#settings
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => {
        this.#renewing.drop()
        reject(new Error(`no reply within ${commandTimeoutMs} ms`))
      }, commandTimeoutMs)
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }

  async #callScript(args) {
    const { script, keys } = this.#settings
    const call = () => this.#renewing.send('FCALL', script.id, ...keys, ...args)
    try {
      return await this.#answered(call())
    } catch (error) {
      if (!String(error?.message).includes('Function not found')) throw error
      this.#renewing.send('FUNCTION', 'LOAD', script.source).catch(() => undefined) // another process may have loaded it
      return this.#answered(call())
    }
  }

  /** Renews once and plans the next time; a renewal under way is not doubled. @param {Kept} one */
  #renew(one) {
    clearTimeout(one.timer)
    one.underWay = one.underWay.then(() => this.#renewOnce(one))
    return one.underWay
  }

  async #renewOnce(one) {
    if (one.isStopped) return
    clearTimeout(one.timer)
    // the event loop stores when it last ran: if it has hung for this long, its session is not renewed any more
    if (nowMs() - Number(Atomics.load(one.beat, 0)) > this.#settings.stallLimitMs) {
      this.#lose(one)
      return
    }
    const sentAt = nowMs()
    let delayMs = Number.POSITIVE_INFINITY
    try {
      if (!this.#renewing.isReady) throw new Error('not connected')
      // what a renewal says of the subscription: nothing before there was one
      const subscription = one.isSubscribed ? [1] : one.wasSubscribed ? [0] : []
      const answer = await this.#callScript([...one.args, ...subscription])
      if (one.isStopped) return
      const [word, , ...swept] = [answer].flat()
      if (String(word) !== 'OK') {
        this.#lose(one)
        return
      }
      const nextLookMs = Number(swept.at(-1))
      if (nextLookMs >= 0) delayMs = nextLookMs + LOOK_MS
      one.renewedAt = sentAt
      one.isLost = false
      Atomics.store(one.beat, 1, BigInt(sentAt))
    } catch {
      if (one.isStopped) return
    }
    if (!one.isLost && nowMs() - one.renewedAt > one.ttlMs) {
      one.isLost = true
      parentPort.postMessage({ kind: 'lost', link: one.link, session: one.session, what: 'store' })
    }
    const isLate = nowMs() - one.renewedAt > one.ttlMs / 2
    delayMs = Math.min(delayMs, (isLate ? one.ttlMs / 10 : one.ttlMs / 3) * (0.9 + Math.random() * 0.1))
    one.timer = setTimeout(() => void this.#renew(one), delayMs)
  }

  #lose(one) {
    void this.forget(one)
    parentPort.postMessage({ kind: 'lost', link: one.link, session: one.session, what: 'session' })
  }
}

/** @type {Map<number, Link>} */
const links = new Map()

parentPort.on('message', async (message) => {
  const { kind, link: number, session } = message
  let link = links.get(number)
  if (kind === 'keep') {
    if (link === undefined) links.set(number, (link = new Link(message.settings)))
    link.keep({
      ...{ link: number, session, ttlMs: message.ttlMs, args: message.args, beat: message.beat },
      ...{ renewedAt: nowMs(), isLost: false, isSubscribed: false, wasSubscribed: false },
      ...{ timer: undefined, isStopped: false, underWay: Promise.resolve() },
    })
    return
  }
  if (kind === 'hurry') {
    link?.hurry(session)
    return
  }
  const one = link?.kept.get(session)
  if (link !== undefined && one !== undefined) {
    const unsubscribed = link.forget(one)
    if (message.isToFinish) await Promise.all([one.underWay, unsubscribed])
  }
  if (link !== undefined && link.kept.size === 0) {
    links.delete(number)
    link.end()
  }
  parentPort.postMessage({ kind: 'dropped', link: number, session })
})
