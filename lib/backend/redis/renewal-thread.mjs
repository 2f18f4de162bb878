/**
 * Renews the sessions of a process from a thread of its own, so that a handler that blocks the event loop loses nothing. Plain JavaScript,
 * because a thread's file is run as it is: from lib/ under tests and tsx, from dist/ elsewhere. keep-alive.ts starts it and says what its
 * messages mean. It has two connections: one renews, one is subscribed to T:alive:<session>, which ends with the process. When only the
 * second ends, the first one says so.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { Redis } from 'ioredis'

/** @typedef {{ session: string, ttlMs: number, args: (string | number)[], beat: BigInt64Array, renewedAt: number, isLost: boolean,
 *   isSubscribed: boolean, wasSubscribed: boolean, timer: NodeJS.Timeout | undefined, isStopped: boolean, underWay: Promise<void> }} Kept */

const { connection, script, mainKey, alivePrefix, stallLimitMs, commandTimeoutMs } = workerData
/** @type {Map<string, Kept>} */
const kept = new Map()
/** A process that is missed is looked at again so long after that is due, unless another has by then. */
const LOOK_MS = 10
const nowMs = () => Number(process.hrtime.bigint() / 1_000_000n)

/** Quick at first: who is not back within 200 ms of being missed is taken for dead, as far as others are back. */
const pauseMs = (times) => (times <= 20 ? Math.min(20 * 2 ** (times - 1), 150) : 500)

/** As connection.ts does: ioredis writes these to the console, and they change nothing. */
const quiet = (redis, name, isHarmless) => {
  const ask = redis[name].bind(redis)
  Object.defineProperty(redis, name, {
    value: (...args) => {
      const done = args.at(-1)
      if (typeof done !== 'function') return ask(...args)
      return ask(...args.slice(0, -1), (error, reply) => {
        const isQuiet = error instanceof Error && isHarmless.test(error.message)
        done(isQuiet ? null : error, isQuiet ? '' : reply)
      })
    },
  })
}

const connect = (name) => {
  const redis = new Redis({
    ...connection,
    connectionName: name,
    keepAlive: 10_000,
    disableClientInfo: true,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: null,
    maxLoadingRetryTime: 50, // a Redis that loads its file says a second, however small the file
    retryStrategy: (times) => Math.ceil(pauseMs(times) * (0.5 + Math.random() / 2)),
  })
  redis.on('error', () => undefined) // the next attempt follows by itself
  quiet(redis, 'auth', /no password is set|without any password configured for the default user/)
  quiet(redis, 'info', /NOPERM/)
  return redis
}

const renewing = connect('graflow-renewal')
const subscribed = connect('graflow-alive')
subscribed.on('ready', () => {
  for (const session of kept.keys()) void subscribe(session)
})
subscribed.on('close', () => {
  for (const one of kept.values()) {
    if (!one.isSubscribed) continue
    one.isSubscribed = false
    void renew(one) // it is only this connection that ended: said at once, or else it would look like the end of the process
  }
})
renewing.on('ready', () => {
  for (const one of kept.values()) void renew(one)
})

/** From then on the end of this process is noticed at once: the store is told, and whoever waits for that. */
const subscribe = async (session) => {
  if (subscribed.status !== 'ready') return
  try {
    await subscribed.subscribe(alivePrefix + session)
  } catch {
    return // it follows with the next connection
  }
  const one = kept.get(session)
  if (one === undefined || subscribed.status !== 'ready') return
  one.isSubscribed = true
  one.wasSubscribed = true
  await renew(one)
  parentPort.postMessage({ kind: 'ready', session })
}

/** A command that never settles is one that got no answer: the connection is given up. */
const answered = async (promise) => {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      renewing.stream?.destroy()
      reject(new Error(`no reply within ${commandTimeoutMs} ms`))
    }, commandTimeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

const callScript = async (args) => {
  try {
    return await answered(renewing.call('FCALL', script.id, 1, mainKey, ...args))
  } catch (error) {
    if (!String(error?.message).includes('Function not found')) throw error
    renewing.call('FUNCTION', 'LOAD', script.source).catch(() => undefined) // somebody else may have loaded it
    return answered(renewing.call('FCALL', script.id, 1, mainKey, ...args))
  }
}

/** Renews once and plans the next time; a renewal under way is not doubled. @param {Kept} one */
const renew = (one) => {
  clearTimeout(one.timer)
  one.underWay = one.underWay.then(() => renewOnce(one))
  return one.underWay
}

/** What a renewal says of the subscription: nothing before there was one. @param {Kept} one */
const subscription = (one) => (one.isSubscribed ? [1] : one.wasSubscribed ? [0] : [])

const renewOnce = async (one) => {
  if (one.isStopped) return
  clearTimeout(one.timer)
  // the main loop writes when it last ran: one that has hung for so long is as good as dead
  if (nowMs() - Number(Atomics.load(one.beat, 0)) > stallLimitMs) {
    forget(one)
    parentPort.postMessage({ kind: 'lost', session: one.session, what: 'session' })
    return
  }
  const sentAt = nowMs()
  let delayMs = Number.POSITIVE_INFINITY
  try {
    if (renewing.status !== 'ready') throw new Error('not connected')
    const answer = await callScript([...one.args, ...subscription(one)])
    if (one.isStopped) return
    const [word, , ...swept] = [answer].flat()
    if (String(word) === 'OK') {
      const nextLookMs = Number(swept.at(-1))
      if (nextLookMs >= 0) delayMs = nextLookMs + LOOK_MS
      one.renewedAt = sentAt
      one.isLost = false
      Atomics.store(one.beat, 1, BigInt(sentAt))
    } else {
      forget(one)
      parentPort.postMessage({ kind: 'lost', session: one.session, what: 'session' })
      return
    }
  } catch {
    if (one.isStopped) return
  }
  if (!one.isLost && nowMs() - one.renewedAt > one.ttlMs) {
    one.isLost = true
    parentPort.postMessage({ kind: 'lost', session: one.session, what: 'store' })
  }
  const isLate = nowMs() - one.renewedAt > one.ttlMs / 2
  delayMs = Math.min(delayMs, (isLate ? one.ttlMs / 10 : one.ttlMs / 3) * (0.9 + Math.random() * 0.1))
  one.timer = setTimeout(() => void renew(one), delayMs)
}

/** @param {Kept} one */
const forget = (one) => {
  one.isStopped = true
  clearTimeout(one.timer)
  kept.delete(one.session)
  if (subscribed.status === 'ready') subscribed.unsubscribe(alivePrefix + one.session).catch(() => undefined)
}

parentPort.on('message', async (message) => {
  if (message.kind === 'keep') {
    const before = kept.get(message.session)
    if (before !== undefined) forget(before)
    const one = {
      ...message,
      renewedAt: nowMs(),
      isLost: false,
      isSubscribed: false,
      wasSubscribed: false,
      timer: undefined,
      isStopped: false,
      underWay: Promise.resolve(),
    }
    kept.set(one.session, one)
    void subscribe(one.session)
    void renew(one)
  } else if (message.kind === 'drop') {
    const one = kept.get(message.session)
    if (one !== undefined) {
      forget(one)
      await one.underWay
    }
    parentPort.postMessage({ kind: 'dropped', session: message.session })
  } else {
    renewing.disconnect()
    subscribed.disconnect()
    process.exit(0) // ends the thread alone
  }
})
