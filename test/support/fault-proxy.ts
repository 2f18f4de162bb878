/**
 * A TCP proxy in front of a Redis with faults on request: at one command, before or after Redis has executed it, or to all traffic.
 * It understands where requests and replies end, so that a fault hits just the command that was meant; every fault counts how often it
 * really fired.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { argsOf, Frames, isPush } from './resp.js'
import { elapse, within } from './waits.js'

/**
 * What happens at a command.
 * - `cut-before`: the connection ends before Redis sees the command.
 * - `cut-inside-request`: Redis gets half of it, then the connection ends.
 * - `swallow-reply`: Redis executes it; the connection ends before any of the reply.
 * - `cut-inside-reply`: half of the reply arrives, then the connection ends.
 * - `hold-request`, `hold-reply`: the connection stands still there, until `release`.
 *
 * Before each of them everything that came earlier on this connection is answered. A reply that says that the script or function is not
 * known is no execution: it passes, and the fault waits for the next try.
 */
export type FaultKind =
  | 'cut-before'
  | 'cut-inside-request'
  | 'swallow-reply'
  | 'cut-inside-reply'
  | 'hold-request'
  | 'hold-reply'

/** A command's name (any case), the SHA-1 of a script, a function's name, or a question about the arguments. */
export type Match = string | ((args: readonly Buffer[]) => boolean)

export interface FaultOptions {
  /** How often it fires; 1 by default. */
  readonly times?: number
  /** Lets this many matching commands pass before. */
  readonly skip?: number
}

/** An armed fault. */
export class Fault {
  readonly kind: FaultKind
  readonly #match: Match
  #skip: number
  #left: number
  #fired = 0
  #isReleased = false
  readonly #onFired = new Set<() => void>()
  readonly #onRelease = new Set<() => void>()

  constructor(kind: FaultKind, match: Match, { times = 1, skip = 0 }: FaultOptions) {
    this.kind = kind
    this.#match = match
    this.#left = times
    this.#skip = skip
  }

  /** How often it has fired. */
  get fired(): number {
    return this.#fired
  }

  /** Resolves when it has fired so often; rejects when that does not happen in time. */
  async whenFired(times = 1, withinMs = 10_000): Promise<void> {
    let check = (): void => undefined
    const fired = new Promise<void>((resolve) => {
      check = () => {
        if (this.#fired >= times) resolve()
      }
    })
    this.#onFired.add(check)
    check()
    try {
      await within(withinMs, fired, () => `the fault ${this.kind} to fire ${times} times, got ${this.#fired}`)
    } finally {
      this.#onFired.delete(check)
    }
  }

  /** Lets go what it holds, now and later. */
  release(): void {
    this.#isReleased = true
    for (const go of this.#onRelease) go()
  }

  /** It fires no more. */
  disarm(): void {
    this.#left = 0
  }

  /** For the proxy: whether this command is the one. */
  takes(args: readonly Buffer[]): boolean {
    if (this.#left === 0 || !matches(this.#match, args)) return false
    if (this.#skip > 0) {
      this.#skip -= 1
      return false
    }
    this.#left -= 1
    return true
  }

  /** For the proxy: it was not executed, so it does not count. */
  giveBack(): void {
    this.#left += 1
  }

  /** For the proxy. */
  fire(): void {
    this.#fired += 1
    for (const check of this.#onFired) check()
  }

  /** For the proxy. */
  released(): Promise<void> {
    return this.#isReleased ? Promise.resolve() : new Promise((resolve) => this.#onRelease.add(resolve))
  }
}

function matches(match: Match, args: readonly Buffer[]): boolean {
  if (typeof match === 'function') return match(args)
  const [command, first] = args
  const name = command?.toString('latin1').toLowerCase() ?? ''
  if (name === match.toLowerCase()) return true
  if (/^(evalsha|fcall)/.test(name) && first !== undefined) return first.toString('latin1') === match
  return name.startsWith('eval') && first !== undefined && sha1(first) === match
}

/** As Redis names scripts. */
export const sha1 = (script: string | Uint8Array): string => createHash('sha1').update(script).digest('hex')

interface Traffic {
  /** Everything takes this much longer, in each direction. */
  delayMs: number
  /** What is written at once; 0: as it came. */
  chunkBytes: number
}

export class FaultProxy {
  /** May be changed at any time. */
  readonly traffic: Traffic = { delayMs: 0, chunkBytes: 0 }
  readonly #server: Server
  readonly #links = new Set<Link>()
  readonly #faults: Fault[] = []
  readonly #gate = new Gate()
  #isRefusing = false
  #accepted = 0

  private constructor(target: { readonly port: number } | { readonly socket: string }) {
    this.#server = createServer((client) => {
      if (this.#isRefusing) {
        client.resetAndDestroy()
        return
      }
      this.#accepted += 1
      const upstream = 'socket' in target ? connect(target.socket) : connect(target.port, '127.0.0.1')
      const link = new Link(client, upstream, this.traffic, this.#gate, (args) =>
        this.#faults.find((fault) => fault.takes(args)),
      )
      this.#links.add(link)
      void link.run().finally(() => this.#links.delete(link))
    })
  }

  /** Starts a proxy on a free loopback port. */
  static async start(target: { readonly port: number } | { readonly socket: string }): Promise<FaultProxy> {
    const proxy = new FaultProxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Open now. */
  get connections(): number {
    return this.#links.size
  }

  /** Connections taken so far. */
  get accepted(): number {
    return this.#accepted
  }

  /** Plans a fault at a command. */
  arm(kind: FaultKind, match: Match, options: FaultOptions = {}): Fault {
    const fault = new Fault(kind, match, options)
    this.#faults.push(fault)
    return fault
  }

  /** Everything stops arriving, in both directions; connections stay open and new ones are taken: a black hole. */
  freeze(): void {
    this.#gate.close()
  }

  /** What was on its way arrives. */
  thaw(): void {
    this.#gate.open()
  }

  /** Ends all connections, with a reset; says how many. */
  killAll(): number {
    const { size } = this.#links
    for (const link of this.#links) link.reset()
    return size
  }

  /** Resets whoever connects from now on. */
  refuse(isRefusing = true): void {
    this.#isRefusing = isRefusing
  }

  /** Ends everything. Safe to repeat. */
  async stop(): Promise<void> {
    this.thaw()
    for (const fault of this.#faults) fault.release()
    const closed = this.#server.listening ? once(this.#server, 'close') : undefined
    this.#server.close()
    this.killAll()
    await closed
  }
}

/** Holds back who passes while it is closed. */
class Gate {
  #closed: { readonly until: Promise<void>; readonly open: () => void } | undefined

  close(): void {
    if (this.#closed !== undefined) return
    let open = (): void => undefined
    const until = new Promise<void>((resolve) => (open = resolve))
    this.#closed = { until, open }
  }

  open(): void {
    this.#closed?.open()
    this.#closed = undefined
  }

  async pass(): Promise<void> {
    while (this.#closed !== undefined) await this.#closed.until
  }
}

/** After these a connection gets messages that answer nothing. */
const SUBSCRIBING = new Set(['subscribe', 'psubscribe', 'ssubscribe', 'monitor'])

/** Redis has not executed a call, because it does not know what is called. */
const UNKNOWN = /^-(NOSCRIPT|ERR Function not found)/

/** One client's connection and its other half. */
class Link {
  readonly #client: Socket
  readonly #upstream: Socket
  readonly #traffic: Readonly<Traffic>
  readonly #gate: Gate
  readonly #faultAt: (args: readonly Buffer[]) => Fault | undefined
  /** Requests that Redis has to answer, in order, each with the fault at its reply. */
  readonly #unanswered: (Fault | undefined)[] = []
  #onAnswered: () => void = () => undefined
  #isSubscriber = false
  readonly #closed: Promise<unknown>

  constructor(
    client: Socket,
    upstream: Socket,
    traffic: Readonly<Traffic>,
    gate: Gate,
    faultAt: (args: readonly Buffer[]) => Fault | undefined,
  ) {
    this.#client = client
    this.#upstream = upstream
    this.#traffic = traffic
    this.#gate = gate
    this.#faultAt = faultAt
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true)
      socket.on('error', () => undefined) // its close is all that we want to know
    }
    this.#closed = new Promise((resolve) => {
      client.once('close', resolve)
      upstream.once('close', resolve)
    })
  }

  /** Forwards until one side closes, and then ends the other. */
  async run(): Promise<void> {
    const requests = this.#forward(this.#client, this.#upstream, (frame) => this.#request(frame))
    const replies = this.#forward(this.#upstream, this.#client, (frame) => this.#reply(frame))
    await this.#closed
    this.#cut()
    this.#onAnswered()
    await Promise.allSettled([requests, replies])
  }

  reset(): void {
    this.#client.resetAndDestroy()
    this.#upstream.destroy()
  }

  #cut(): void {
    this.#client.destroy()
    this.#upstream.destroy()
  }

  async #forward(from: Socket, to: Socket, each: (frame: Buffer) => Promise<void>): Promise<void> {
    const frames = new Frames()
    for await (const chunk of from as AsyncIterable<Buffer>) {
      await this.#hold()
      for (const frame of frames.push(chunk)) await each(frame)
    }
    to.end()
  }

  async #request(frame: Buffer): Promise<void> {
    const args = argsOf(frame)
    const fault = this.#faultAt(args)
    if (SUBSCRIBING.has(args[0]?.toString('latin1').toLowerCase() ?? '')) this.#isSubscriber = true
    if (fault === undefined) return this.#send(frame)
    await this.#allAnswered()
    switch (fault.kind) {
      case 'cut-before':
        fault.fire()
        this.#cut()
        return
      case 'cut-inside-request':
        await this.#write(this.#upstream, frame.subarray(0, frame.length >> 1))
        fault.fire()
        this.#cut()
        return
      case 'hold-request':
        fault.fire()
        await Promise.race([fault.released(), this.#closed])
        return this.#send(frame)
      case 'swallow-reply':
      case 'cut-inside-reply':
      case 'hold-reply':
        await this.#send(frame, fault)
        return this.#allAnswered()
      default:
        return fault.kind satisfies never
    }
  }

  async #reply(frame: Buffer): Promise<void> {
    const isAnswer = !this.#isSubscriber && !isPush(frame)
    const fault = isAnswer ? this.#unanswered[0] : undefined
    if (fault !== undefined && UNKNOWN.test(frame.toString('latin1', 0, 40))) fault.giveBack()
    else if (fault !== undefined) {
      if (fault.kind === 'hold-reply') {
        fault.fire()
        await Promise.race([fault.released(), this.#closed])
      } else {
        if (fault.kind === 'cut-inside-reply') await this.#write(this.#client, frame.subarray(0, frame.length >> 1))
        fault.fire()
        this.#cut()
        return
      }
    }
    await this.#write(this.#client, frame)
    if (isAnswer) this.#unanswered.shift()
    if (this.#unanswered.length === 0) this.#onAnswered()
  }

  async #send(frame: Buffer, fault?: Fault): Promise<void> {
    if (!this.#isSubscriber) this.#unanswered.push(fault)
    await this.#write(this.#upstream, frame)
  }

  async #allAnswered(): Promise<void> {
    while (this.#unanswered.length > 0 && !this.#client.destroyed)
      await new Promise<void>((resolve) => (this.#onAnswered = resolve))
  }

  async #hold(): Promise<void> {
    const { delayMs } = this.#traffic
    if (delayMs > 0) await elapse(delayMs)
    await this.#gate.pass()
  }

  async #write(to: Socket, bytes: Buffer): Promise<void> {
    const { chunkBytes } = this.#traffic
    const step = chunkBytes === 0 ? bytes.length : chunkBytes
    for (let at = 0; at < bytes.length && !to.destroyed; at += step) {
      await new Promise<void>((resolve) => {
        to.write(bytes.subarray(at, at + step), () => {
          resolve()
        })
      })
    }
  }
}
