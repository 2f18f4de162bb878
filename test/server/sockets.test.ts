/** The control plane on a real socket: what arrives is not always HTTP. */
import { connect as dial, type Socket } from 'node:net'
import { connect, type Graflow } from 'graflow'
import { until } from '../support/waits.js'

let graflow: Graflow
let port: number
beforeAll(async () => {
  graflow = await connect({ logLevel: 'silent', serve: { port: 0, maxBodyBytes: 1_024 * 1_024 } })
  port = graflow.server?.port ?? 0
})
afterAll(() => graflow.close())

/** What comes back for bytes on a connection of their own, until it ends or `enough` is there. */
function sent(bytes: string | Buffer, enough: RegExp = /\r\n\r\n/): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket: Socket = dial(port, '127.0.0.1')
    const done = (): void => {
      socket.destroy()
      resolve(text)
    }
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? done() : reject(error),
    )
    socket.on('data', (data) => {
      text += data.toString('latin1')
      if (enough.test(text)) done()
    })
    socket.on('close', done)
    socket.write(bytes)
  })
}

const isWell = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200

describe('a socket of the control plane', () => {
  it.each<[string, string | Buffer, RegExp]>([
    ['no HTTP', 'hello\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['TLS', Buffer.from('16030100a5010000a10303', 'hex'), /^(HTTP\/1\.1 400 |$)/],
    ['a header without a colon', 'GET / HTTP/1.1\r\nhost localhost\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['no host', 'GET /readyz HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['a host that is none', 'GET /readyz HTTP/1.1\r\nhost: a b/c?d\r\n\r\n', /^HTTP\/1\.1 400 /],
    [
      'two lengths',
      'POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}',
      /^HTTP\/1\.1 400 /,
    ],
    [
      'length and chunks',
      'POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    ['headers of 64 KiB', `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(65_536)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
    ['CONNECT', 'CONNECT evil.example:80 HTTP/1.1\r\nhost: evil.example\r\n\r\n', /^$/],
    [
      'an absolute URL',
      'GET http://evil.example/api/v1/queues HTTP/1.1\r\nhost: evil.example\r\n\r\n',
      /^HTTP\/1\.1 403 /,
    ],
    [
      'an upgrade',
      'GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      /^HTTP\/1\.1 200 /,
    ],
  ])('FT-H7: takes %s calmly', async (_, bytes, expected) => {
    expect(await sent(bytes)).toMatch(expected)
    expect(await isWell()).toBe(true)
  })

  it('FT-H7: stops reading a body of 1 GiB, by its length or by what came of it', async () => {
    const head = 'POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'
    expect(await sent(`${head}content-length: 1073741824\r\n\r\n[`)).toMatch(/^HTTP\/1\.1 413 /)
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    expect(await sent(`${head}transfer-encoding: chunked\r\n\r\n${chunk.repeat(40)}`)).toMatch(/^HTTP\/1\.1 413 /)
    expect(await isWell()).toBe(true)
  })

  it('FT-H12: lets nobody write a header or a second answer by what is asked', async () => {
    for (const path of ['/x%0d%0ax-evil:%201', '/api/v1/queues?limit=%0d%0ax-evil:%201', '/%0d%0a%0d%0a<html>']) {
      const text = await sent(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nx-request: a\r\n\r\n`)
      expect(text).not.toMatch(/^x-evil/im)
      expect(text.match(/^HTTP\/1\.1/gm)).toHaveLength(1)
    }
    const bare = await sent('GET /livez\nx-evil: 1 HTTP/1.1\r\nhost: localhost\r\n\r\n')
    expect([bare.match(/^HTTP\/1\.1/gm)?.length, /^x-evil/im.test(bare)]).toEqual([1, false])
  })

  it('closes connections beyond maxConnections, and serves those that there are', async () => {
    const small = await connect({ logLevel: 'silent', serve: { port: 0, maxConnections: 2 } })
    const { port: other = 0 } = small.server ?? {}
    const sockets = [dial(other, '127.0.0.1'), dial(other, '127.0.0.1'), dial(other, '127.0.0.1')]
    let closed = 0
    for (const socket of sockets) socket.on('close', () => (closed += 1)).on('error', () => undefined)
    await until(() => closed === 1, 'one of three to be closed')
    for (const socket of sockets) socket.destroy()
    await small.close()
  })
})
