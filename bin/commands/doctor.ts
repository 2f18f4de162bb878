/** `graflow doctor`: what is wrong with a Redis, and what to change. */
import type { Finding, Level } from '../../lib/backend/redis/server-findings.js'
import { WORKER_OPTIONS } from '../../lib/options.js'
import { systemRandom } from '../../lib/time.js'
import { addressOf, type WorkerOptions } from '../../worker/worker-options.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Host, Run } from '../host.js'
import { type Colour, painter, toJson } from '../output.js'
import { table } from '../table.js'

type DoctorSettings = Pick<WorkerOptions, 'redisUrl' | 'redisHost' | 'redisPort' | 'redisDb' | 'keyPrefix'>

const COLOURS: Readonly<Record<Level, Colour>> = { ok: 'green', warning: 'yellow', error: 'red', unknown: 'dim' }

export const doctorCommand: Run = async (given, host) => {
  const options = given.options as DoctorSettings // the table has these
  const { diagnose } = await import('../../lib/backend/redis/diagnosis.js') // with its client library
  const findings = await diagnose({
    address: addressOf(options),
    keyPrefix: options.keyPrefix ?? WORKER_OPTIONS.keyPrefix.default,
    ...{ random: systemRandom, now: host.now, elapsed: () => performance.now() },
  })
  host.out.write(given.switches.has('json') ? toJson({ findings }) : tableOf(findings, host))
  const bad = given.switches.has('strict') ? ['error', 'warning'] : ['error']
  return findings.some(({ level }) => bad.includes(level)) ? EXIT_CODES.failed.code : EXIT_CODES.done.code
}

function tableOf(findings: readonly Finding[], host: Host): string {
  const paint = painter(host.out, host.env)
  const rows = findings.map(({ check, level, found, change }) => [
    check,
    level,
    change === undefined ? found : `${found}. Change: ${change}`,
  ])
  const painted = table(['CHECK', 'RESULT', 'FOUND'], rows, host.out, (text, column, row) => {
    if (row === undefined) return paint('dim', text)
    return column === 1 && text.trim() !== '' ? paint(COLOURS[row[1] as Level], text) : text
  })
  const count = (level: Level, word: string): string => {
    const many = findings.filter((finding) => finding.level === level).length
    return `${many} ${word}${many === 1 || word === 'fine' ? '' : 's'}`
  }
  return `${painted}\n${count('error', 'error')}, ${count('warning', 'warning')}, ${count('ok', 'fine')}\n`
}
