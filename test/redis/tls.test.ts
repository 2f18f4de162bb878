/** TLS with a certificate that the process was told to trust: for its own connections and for those of its renewal thread. */
import { join } from 'node:path'
import { endChildren, spawnScript } from '../support/processes.js'
import { privateRedis } from '../support/shared-redis.js'

afterEach(endChildren)

describe('rediss://', () => {
  it('works where the certificate is vouched for', async () => {
    const server = await privateRedis({ tls: true, password: 'secret' })
    const child = spawnScript(join(__dirname, 'tls.child.ts'), [server.tlsUrl], { NODE_EXTRA_CA_CERTS: server.caFile })
    expect({ ...(await child.exited), output: child.output }).toMatchObject({ code: 0, output: 'renewed 1\n' })
  })
})
