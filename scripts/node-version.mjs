/**
 * Ends the process with one clear sentence when Node.js is older than `engines.node` of package.json. Imported first by the
 * scripts that people start, so nothing here may need a newer Node.js than the one it complains about.
 */
import { readFileSync } from 'fs'

const wanted = /\d+(?:\.\d+)*/.exec(
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).engines.node,
)[0]
const numbers = (version) => version.split('.').map(Number)
const [has, needs] = [numbers(process.versions.node), numbers(wanted)]
const differsAt = needs.findIndex((part, index) => part !== (has[index] || 0))

if (differsAt !== -1 && needs[differsAt] > (has[differsAt] || 0)) {
  console.error(
    `graflow needs Node.js ${wanted} or newer; this is ${process.versions.node}. Get a newer one from https://nodejs.org`,
  )
  process.exit(1)
}
