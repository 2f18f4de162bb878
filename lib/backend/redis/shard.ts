/**
 * Calls scripts and commands of one shard, on one connection. It hides the connection's life: calls of one turn of the event loop travel in
 * one write; a call whose reply is lost or late is sent again with the same arguments, which every script allows; a script that Redis does
 * not know is loaded and called again; Redis loading, busy or without a master is asked again. After `retryForMs` of that, REDIS_UNAVAILABLE.
 *
 * What an error means is in command-errors.ts, and whether a Redis can be used in check-redis.ts.
 *
 * The file is long because all of this changes the state of one call: on its way, sent again, given up.
 *
 * Replies are as the wire has them: Buffer, number, null, and arrays of these.
 */
import type { Redis } from 'ioredis'
import { GraflowError } from '../../errors.js'
import type { Clock, Random } from '../../time.js'
import { parseAddress, type RedisTarget } from './address.js'
import { backoffMs, makeConnection, withoutCommand } from './connection.js'
import { checkRedis, type ServerBounds } from './check-redis.js'
import { closedError, endsConnectionsError, inOurWords, refusalIn, remedyFor } from './command-errors.js'
import { type CommandArgument, EncodedCommand } from './encoded-command.js'
import { type Keys, keysOf, tagOf } from './keys.js'
import type { Reply } from './replies.js'
import { checkRights } from './rights.js'
import { loadScripts, type Script, type ScriptName } from './scripts.js'

export type Argument = CommandArgument
export type { Reply } from './replies.js'

export interface ShardOptions {
  readonly address: string
  readonly keyPrefix: string
  /** How long one reply may take; later than that the connection is replaced and the call sent again on the next. */
  readonly commandTimeoutMs: number
  /** How long a call is repeated before it fails. */
  readonly retryForMs: number
  /** How long the first connection may take. */
  readonly connectTimeoutMs: number
  readonly allowEviction: boolean
  /** Measures replies; never goes back. */
  readonly clock: Clock
  readonly random: Random
}

export const SHARD_DEFAULTS = Object.freeze({
  commandTimeoutMs: 2_000,
  retryForMs: 10_000,
  connectTimeoutMs: 3_000,
  allowEviction: false,
})

/** Connecting and looking at the Redis takes this long at most: `connect` promises 5 s. */
const OPEN_MS = 4_500
/** After the time for a reply is over: what has arrived meanwhile is read first, in case it was us who were late. */
const SECOND_LOOK_MS = 20
/** A call that was on its way when so many connections ended may be why. */
const SUSPECT_LOSSES = 2
/** It is why, if it was alone on so many. */
const SURE_LOSSES = 3
/** Rights that are missing are looked at again so often. */
const LOOK_AGAIN_MS = 3_000

interface Call {
  readonly what: string
  readonly script: Script | undefined
  /** Of a command, with its name first; of a script, what comes after its key. */
  readonly args: readonly Argument[]
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
  /** By the clock. */
  readonly giveUpAt: number
  sentAt: number
  /** Sendings so far: the reply to an earlier one comes too late. */
  sendings: number
  /** Connections that ended while it was on its way, and those of them on which there was nothing else. */
  losses: number
  lossesAlone: number
  /** Redis does not know the script: send its text. */
  needsText: boolean
  /** It met a key of another type, and is sent again after a repair. */
  isRepaired: boolean
}

export class Shard {
  /** For people: its host, port and database. */
  readonly address: string
  readonly target: RedisTarget
  readonly tag: string
  readonly keys: Keys
  /** What this server takes and sends at most. */
  bounds: ServerBounds = { takenBytes: Infinity, valueBytes: Infinity, outputBytes: Infinity }
  readonly #options: ShardOptions
  /** How many keys a script gets, and which. */
  readonly scriptKeys: readonly Argument[]
  readonly #scripts: ReadonlyMap<string, Script>
  readonly #redis: Redis
  readonly #inFlight = new Set<Call>()
  readonly #loadErrors = new Map<Script, Error>()
  #waiting: Call[] = []
  #isFlushPlanned = false
  #cancelWatchdog: (() => void) | undefined
  /** Which moment it waits for. */
  #watchdogAt = Infinity
  #isSecondLook = false
  #lastError: Error | undefined
  #refusal: string | undefined
  /** When the rights of the user were last asked for, and the answer that is awaited. */
  #lookedAt = 0
  #looking: Promise<GraflowError | undefined> | undefined
  /** Until it is open: by then it is, or has failed. */
  #openBy: number | undefined
  /** Whether there may be calls that go alone. */
  #hasSuspects = false
  /** It was us who ended the connection, because no reply came. */
  #hasDropped = false
  #isClosed = false
  #repairing: Promise<unknown> | undefined
  /** Calls that wait to be sent again, with what cancels that. */
  readonly #backoffs = new Map<Call, () => void>()

  private constructor(options: ShardOptions) {
    this.#options = options
    this.target = parseAddress(options.address)
    this.address = this.target.shown
    this.tag = tagOf(options.keyPrefix)
    this.keys = keysOf(this.tag, this.target.db)
    const { main, activity } = this.keys
    this.scriptKeys = this.target.db === 0 ? [1, main] : [2, main, activity('')]
    this.#scripts = loadScripts()
    this.#redis = makeConnection({
      target: this.target,
      name: 'graflow',
      connectTimeoutMs: options.connectTimeoutMs,
      random: options.random,
      onError: (error) => {
        // what follows a wrong answer, such as the end of the connection, says less
        if (!(this.#lastError?.message.includes('Protocol error') ?? false)) this.#lastError = error
        this.#refusal = refusalIn(error, this.address)?.message ?? this.#refusal
      },
    })
    this.#redis.on('ready', () => {
      this.#refusal = undefined
      this.#lastError = undefined
      if (this.#openBy === undefined) void this.#lookAtRights() // of a server that was made anew, they may be others
      this.#flush()
    })
    this.#redis.on('close', () => this.#sendAgain())
  }

  /**
   * Connects and looks whether this Redis can be used.
   * @throws GraflowError REDIS_UNAVAILABLE within `connectTimeoutMs`; REDIS_UNSUITABLE; INVALID_OPTION for the address
   */
  static async open(options: ShardOptions): Promise<Shard> {
    const shard = new Shard(options)
    shard.#openBy = options.clock.now() + OPEN_MS
    try {
      await shard.#connect()
      const { allowEviction } = options
      shard.bounds = await checkRedis(shard, { allowEviction, scripts: [...shard.#scripts.values()] })
    } catch (error) {
      shard.close()
      throw error
    }
    shard.#openBy = undefined
    return shard
  }

  /**
   * Calls a script with KEYS = [`T:m`], and where the channels of runs are, unless that is the database 0.
   * @throws GraflowError BACKPRESSURE when Redis takes nothing more and the script is not one that may run all the same; REDIS_UNAVAILABLE;
   * REDIS_UNSUITABLE; INTEGRITY for a key of another type; CLOSED
   */
  call(name: ScriptName, args: readonly Argument[]): Promise<Reply> {
    return this.#enqueue(name, this.script(name), args)
  }

  /** Why Redis does not let us in, or do all that is needed, where it is there and waiting does not help; undefined while it does. */
  get refusal(): string | undefined {
    if (this.#refusal !== undefined) this.suspectRights() // they may be there by now
    return this.#refusal
  }

  /** A command was refused on another connection: looks at the rights, unless that was a moment ago. */
  suspectRights(): void {
    if (this.#redis.status !== 'ready' || this.#options.clock.now() - this.#lookedAt < LOOK_AGAIN_MS) return
    void this.#lookAtRights()
  }

  /** Resolves with what is missing; it is the refusal until it is there. Calls meanwhile get the same answer. */
  #lookAtRights(): Promise<GraflowError | undefined> {
    this.#lookedAt = this.#options.clock.now()
    this.#looking ??= checkRights(this)
      .then(
        () => {
          this.#refusal = undefined
          return undefined
        },
        (error: unknown) => {
          if (!isUnsuitable(error)) return undefined
          this.#refusal = error.message
          return error
        },
      )
      .finally(() => {
        this.#looking = undefined
      })
    return this.#looking
  }

  /** A script as Redis gets it, for a caller with another connection. */
  script(name: ScriptName): Script {
    const script = this.#scripts.get(name)
    if (script === undefined) throw new GraflowError('INTERNAL', `expected a script lua/${name}.lua`)
    return script
  }

  /** Sends a command that may be repeated. Throws as `call` does. */
  command(name: string, ...args: readonly Argument[]): Promise<Reply> {
    return this.#enqueue(name, undefined, [name, ...args])
  }

  /** Ends the connection. What is on its way fails with CLOSED, as does every later call. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cancelWatchdog?.()
    this.#redis.disconnect()
    const calls = [...this.#inFlight, ...this.#waiting, ...this.#backoffs.keys()]
    for (const cancel of this.#backoffs.values()) cancel()
    this.#backoffs.clear()
    this.#inFlight.clear()
    this.#waiting = []
    for (const call of calls) call.reject(closedError())
  }

  // ------------------------------------------------------------------------------------------------------------- sending

  #enqueue(what: string, script: Script | undefined, args: readonly Argument[], isRepaired = false): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        reject(closedError())
        return
      }
      const now = this.#options.clock.now()
      this.#waiting.push({
        what,
        script,
        args,
        resolve,
        reject,
        giveUpAt: Math.min(now + this.#options.retryForMs, this.#openBy ?? Infinity),
        sentAt: now,
        sendings: 0,
        losses: 0,
        lossesAlone: 0,
        needsText: false,
        isRepaired,
      })
      this.#planFlush()
    })
  }

  /** At the end of this turn: after all microtasks, before any I/O. */
  #planFlush(): void {
    if (this.#isFlushPlanned) return
    this.#isFlushPlanned = true
    void Promise.resolve().then(() => process.nextTick(() => this.#flush()))
  }

  #flush(): void {
    this.#isFlushPlanned = false
    if (this.#waiting.length === 0 || this.#isClosed) return
    if (this.#redis.status !== 'ready') {
      this.#watch() // the event `ready` flushes
      return
    }
    const calls = this.#takeSendable()
    if (calls.length === 0) return // the answer to what is on its way flushes
    const { stream } = this.#redis
    if (calls.length > 1) stream.cork()
    for (const call of calls) this.#send(call)
    if (calls.length > 1) stream.uncork()
    this.#watch()
  }

  /** All that wait; but a call that may be the one that ends every connection goes alone, so that the others get their answers. */
  #takeSendable(): readonly Call[] {
    const all = this.#waiting
    const isSuspected = this.#hasSuspects && [...this.#inFlight, ...all].some(isSuspect)
    this.#hasSuspects = isSuspected
    this.#waiting = []
    if (!isSuspected) return all
    const next = this.#inFlight.size > 0 ? undefined : (all.find(isSuspect) ?? all[0])
    this.#waiting = all.filter((call) => call !== next)
    return next === undefined ? [] : [next]
  }

  /** A call is on its way no more. */
  #landed(call: Call): boolean {
    if (!this.#inFlight.delete(call)) return false
    if (this.#hasSuspects) this.#planFlush()
    return true
  }

  #send(call: Call): void {
    call.sentAt = this.#options.clock.now()
    call.sendings += 1
    this.#inFlight.add(call)
    const { sendings } = call
    const command = this.#commandOf(call)
    void this.#redis.sendCommand(command)
    command.promise.then(
      (reply) => {
        if (call.sendings === sendings && this.#landed(call)) call.resolve(reply as Reply)
      },
      (error: unknown) => {
        if (call.sendings === sendings && this.#landed(call)) this.#failed(call, asError(error))
      },
    )
  }

  #commandOf(call: Call): EncodedCommand {
    const { script, args, needsText } = call
    if (script === undefined) return new EncodedCommand(args, [])
    if (needsText) this.#load(script)
    return new EncodedCommand(['FCALL', script.id, ...this.scriptKeys], args)
  }

  /** Makes Redis know a script, before the call that is sent next. */
  #load(script: Script): void {
    const load = new EncodedCommand(['FUNCTION', 'LOAD', script.source], [])
    load.promise.catch((error: unknown) => {
      const why = asError(error)
      if (!/already exists/.test(why.message)) this.#loadErrors.set(script, why) // else another process has loaded it
    })
    void this.#redis.sendCommand(load)
  }

  // ----------------------------------------------------------------------------------------------------- what went wrong

  #failed(call: Call, error: Error): void {
    const remedy = remedyFor(error, call, this.address)
    if (call.script !== undefined && !call.isRepaired && error.message.startsWith('WRONGTYPE')) {
      call.isRepaired = true
      const again = (): void => this.#again(call)
      this.#repair().then(again, again)
    } else if (remedy instanceof GraflowError) {
      // the error of a script does not say which command it may not call any more
      const naming =
        call.script !== undefined && isUnsuitable(remedy) ? this.#lookAtRights() : Promise.resolve(undefined)
      void naming.then((named) => call.reject(named ?? remedy))
    } else if (remedy === 'load') {
      this.#unknown(call, error)
    } else {
      if (remedy === 'resend') this.#lastError = error
      this.#later(call, error)
      if (remedy === 'reconnect') this.#redis.disconnect(true)
    }
  }

  /** Redis does not know the script: the call was not executed, and will be once the script is loaded. */
  #unknown(call: Call, error: Error): void {
    const why = call.script && this.#loadErrors.get(call.script)
    if (!call.needsText) {
      call.needsText = true
      this.#again(call)
    } else if (call.script === undefined || why === undefined) {
      this.#later(call, error)
    } else {
      this.#loadErrors.delete(call.script)
      this.#failed(call, why) // such as that memory is full, which is so for scripts, too
    }
  }

  /** A key of the shard may be of another type: a sweep makes it anew from the others. Calls that met it at the same time wait for one. */
  #repair(): Promise<unknown> {
    this.#repairing ??= this.#enqueue('sweep', this.script('sweep'), ['repair'], true).finally(() => {
      this.#repairing = undefined
    })
    return this.#repairing
  }

  #again(call: Call): void {
    this.#hasSuspects ||= isSuspect(call)
    this.#waiting.push(call)
    this.#planFlush()
  }

  /** Sends the call again after a while, unless its time is over. */
  #later(call: Call, error: Error): void {
    const delayMs = backoffMs(call.sendings - 1, this.#options.random)
    if (this.#isClosed) {
      call.reject(closedError())
    } else if (this.#options.clock.now() + delayMs > call.giveUpAt) {
      call.reject(this.#unavailable(call.what, error))
    } else {
      const cancel = this.#options.clock.after(delayMs, () => {
        this.#backoffs.delete(call)
        this.#again(call)
      })
      this.#backoffs.set(call, cancel)
    }
  }

  /** The connection is gone: what was on its way may have been done or not, and is asked again. */
  #sendAgain(): void {
    if (this.#isClosed) return
    const lost = [...this.#inFlight]
    this.#inFlight.clear()
    const isOurs = this.#hasDropped
    this.#hasDropped = false
    for (const call of lost) {
      call.sendings += 1 // an answer of the old connection is none
      if (isOurs) continue
      call.losses += 1
      if (lost.length === 1) call.lossesAlone += 1
    }
    this.#hasSuspects ||= lost.some(isSuspect)
    const now = this.#options.clock.now()
    // a call that ends every connection would be sent for ever
    for (const call of lost) if (call.giveUpAt <= now) call.reject(this.#givenUp(call))
    const left = lost.filter((call) => call.giveUpAt > now)
    // of those that are suspected, each has its turn
    this.#waiting = this.#hasSuspects ? [...this.#waiting, ...left] : [...left, ...this.#waiting]
    if (this.#waiting.length > 0) this.#watch()
  }

  /** Keeps one timer for the oldest call on its way, and for those that wait for a connection. */
  #watch(): void {
    if (this.#isClosed) return
    const next = Math.min(this.#oldestSentAt() + this.#options.commandTimeoutMs, this.#waiting[0]?.giveUpAt ?? Infinity)
    if (next >= this.#watchdogAt) return // it looks earlier, and goes on from there
    this.#cancelWatchdog?.()
    this.#watchdogAt = next
    const { clock } = this.#options
    const delayMs = Math.max(0, next - clock.now()) + (this.#isSecondLook ? SECOND_LOOK_MS : 1)
    this.#cancelWatchdog = clock.after(delayMs, () => this.#look(), true)
  }

  #look(): void {
    this.#watchdogAt = Infinity
    const now = this.#options.clock.now()
    if (now - this.#oldestSentAt() >= this.#options.commandTimeoutMs) {
      if (this.#isSecondLook) {
        this.#lastError = new Error(`no reply within ${this.#options.commandTimeoutMs} ms`)
        this.#isSecondLook = false
        this.#dropConnection()
      } else {
        this.#isSecondLook = true
      }
    } else {
      this.#isSecondLook = false
    }
    if (this.#redis.status !== 'ready') {
      const late = this.#waiting.filter((call) => call.giveUpAt <= now)
      this.#waiting = this.#waiting.filter((call) => call.giveUpAt > now)
      for (const call of late) call.reject(this.#givenUp(call))
    }
    this.#watch()
  }

  #oldestSentAt(): number {
    for (const call of this.#inFlight) return call.sentAt
    return Infinity
  }

  /** A peer that answers nothing would not close the connection either, so the socket is destroyed, not ended. */
  #dropConnection(): void {
    this.#hasDropped = true
    this.#redis.stream.destroy(this.#lastError)
  }

  #givenUp({ what, lossesAlone }: Call): GraflowError {
    if (lossesAlone < SURE_LOSSES) return this.#unavailable(what, this.#lastError)
    return endsConnectionsError(what, this.address, this.#options.retryForMs / 1_000)
  }

  #unavailable(what: string, error: Error | undefined): GraflowError {
    const seconds = (this.#openBy === undefined ? this.#options.retryForMs : OPEN_MS) / 1_000
    return new GraflowError(
      'REDIS_UNAVAILABLE',
      `${what}: expected Redis at ${this.address} to answer within ${seconds} s, got ${inOurWords(error)}; ` +
        'check that it runs and can be reached from here',
      error === undefined ? {} : { cause: error },
    )
  }

  // ------------------------------------------------------------------------------------------------------------- opening

  /** Waits for the first connection; a wrong password or certificate does not become right by waiting. */
  async #connect(): Promise<void> {
    const { connectTimeoutMs, clock } = this.#options
    await new Promise<void>((resolve, reject) => {
      const fail = (): void => reject(this.#unreachable())
      const cancel = clock.after(connectTimeoutMs, fail)
      this.#redis.once('ready', () => {
        cancel()
        resolve()
      })
      this.#redis.on('error', (error: Error & { code?: string }) => {
        const refusal = refusalIn(error, this.address)
        if (refusal === undefined) return
        cancel()
        reject(refusal)
      })
      this.#redis.connect().catch((error: unknown) => {
        this.#lastError ??= asError(error) // the attempts go on
      })
    })
  }

  #unreachable(): GraflowError {
    const { connectTimeoutMs } = this.#options
    const met = this.#lastError
    const isConnected = this.#redis.status === 'connect'
    return new GraflowError(
      'REDIS_UNAVAILABLE',
      `expected Redis at ${this.address} within ${connectTimeoutMs / 1_000} s, got ${inOurWords(met, isConnected)}; ` +
        'check the address, that redis-server runs there, and that nothing blocks the way',
      met === undefined ? {} : { cause: met },
    )
  }
}

const isUnsuitable = (error: unknown): error is GraflowError =>
  error instanceof GraflowError && error.code === 'REDIS_UNSUITABLE'
const isSuspect = ({ losses }: Call): boolean => losses >= SUSPECT_LOSSES
const asError = (error: unknown): Error => (error instanceof Error ? withoutCommand(error) : new Error(String(error)))
