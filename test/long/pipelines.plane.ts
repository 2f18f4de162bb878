/** A control plane that is killed. Arguments: address and prefix. */
import { connect } from 'graflow'

const [, , url, keyPrefix] = process.argv
if (url === undefined || keyPrefix === undefined) throw new Error('expected address and prefix')
const client = await connect(url, { keyPrefix, logLevel: 'silent', serve: { port: 0 } })
console.log(`listens on ${client.server?.url}`)
