/** Bodies of requests: JSON of a bounded size, read once before any route looks at it. */
import type { Context } from 'hono'
import type { IncomingBody, ServerEnv } from './route.js'
import { describeError } from '../describe.js'
import { GraflowError } from '../errors.js'
import { badRequest } from './problems.js'

const JSON_TYPE = /^application\/([a-z.+-]+\+)?json\s*(;|$)/i

/** How deep arrays and objects may stand in each other. */
const MOST_DEPTH = 512

const tooLarge = (most: number): GraflowError =>
  new GraflowError('LIMIT_EXCEEDED', `body: expected at most ${most} bytes, got more`, { details: { limit: most } })

/**
 * Reads the body and keeps it for the route.
 * @throws GraflowError UNSUPPORTED_MEDIA_TYPE, LIMIT_EXCEEDED, INVALID_REQUEST
 */
export async function readBody(c: Context<ServerEnv>, most: number): Promise<void> {
  const incoming = incomingOf(c)
  const body = incoming ?? c.req.raw.body
  if (body === null) {
    keep(c, undefined)
    return
  }
  const length = Number(c.req.header('content-length') ?? 'NaN')
  if (length > most) throw tooLarge(most)
  const type = c.req.header('content-type')
  const isJson = type !== undefined && JSON_TYPE.test(type)
  if (!isJson && length > 0) throw wrongType(type)
  const bytes = 'getReader' in body ? await bytesOf(body, most) : await bytesFrom(body, most)
  if (bytes.length > 0 && !isJson) throw wrongType(type)
  keep(c, bytes.length === 0 ? undefined : parsed(bytes))
}

/**
 * What `c.req.json()` gives from now on. Its cache, by which it is known that the body was read, would write a value and read it anew at each look. Where
 * there is no body, there is no type of one either, whatever the client says.
 */
function keep(c: Context, value: unknown): void {
  c.req.bodyCache.json = Promise.resolve(value)
  Object.assign(c.req, { json: () => Promise.resolve(value) })
  if (value === undefined) c.req.raw.headers.delete('content-type')
}

const wrongType = (type: string | undefined): GraflowError =>
  new GraflowError('UNSUPPORTED_MEDIA_TYPE', `content-type: expected application/json, got ${type ?? 'none'}`)

/**
 * What a socket brings, where there is one and nobody has read it. The body of the `Request` is not asked for: to make one registers it for a cleanup, and
 * after a garbage collection those of ten thousands of requests ran at one stretch, for 100 ms.
 */
function incomingOf({ env }: Context<ServerEnv>): IncomingBody | undefined {
  const { incoming, within } = (env as ServerEnv['Bindings'] | undefined) ?? {} // none without a socket
  return within === undefined && incoming !== undefined && 'readableEnded' in incoming ? incoming : undefined
}

const cutShort = (error: unknown): GraflowError =>
  badRequest(`body: it ended before it was whole: ${describeError(error)}`, error)

function bytesFrom(incoming: IncomingBody, most: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Uint8Array[] = []
    let size = 0
    const settle = (end: () => void): void => {
      incoming.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose)
      end()
    }
    const onData = (part: Uint8Array): void => {
      size += part.byteLength
      if (size <= most) parts.push(part)
      // the rest is not read here: whoever ends the answer sees to it
      else
        settle(() => {
          incoming.pause()
          reject(tooLarge(most))
        })
    }
    const onEnd = (): void => {
      settle(() => {
        resolve(Buffer.concat(parts))
      })
    }
    const onError = (error: unknown): void => {
      settle(() => {
        reject(cutShort(error))
      })
    }
    const onClose = (): void => {
      if (incoming.readableEnded) onEnd()
      else onError(new Error('the connection was closed'))
    }
    incoming.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose)
    if (incoming.readableEnded || incoming.destroyed) onClose()
  })
}

async function bytesOf(body: ReadableStream<Uint8Array>, most: number): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let size = 0
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw cutShort(error)
    })
    if (done) return Buffer.concat(parts)
    size += value.byteLength
    if (size > most) {
      reader.cancel().catch(() => undefined) // the rest is not read
      throw tooLarge(most)
    }
    parts.push(value)
  }
}

function parsed(bytes: Buffer): unknown {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw badRequest('body: expected UTF-8', error)
  }
  if (isDeeperThan(text, MOST_DEPTH)) throw badRequest(`body: expected JSON of at most ${MOST_DEPTH} levels`)
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw badRequest(`body: expected JSON: ${describeError(error)}`, error)
  }
}

/** Counts brackets outside of texts, without building anything. */
function isDeeperThan(json: string, most: number): boolean {
  let depth = 0
  for (let i = 0; i < json.length; i += 1) {
    const code = json.charCodeAt(i)
    if (code === 0x22) {
      for (i += 1; i < json.length && json.charCodeAt(i) !== 0x22; i += 1) if (json.charCodeAt(i) === 0x5c) i += 1
    } else if (code === 0x5b || code === 0x7b) {
      depth += 1
      if (depth > most) return true
    } else if (code === 0x5d || code === 0x7d) depth -= 1
  }
  return false
}
