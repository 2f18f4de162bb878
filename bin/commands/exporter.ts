/** `graflow exporter`: metrics of the queues, and the numbers for autoscaling, without a worker. Serves until it is told to end. */
import { hostname } from 'node:os'
import { type ExporterOptions, startExporter } from '../../worker/exporter.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Run } from '../host.js'
import { writeLog } from '../log.js'

export const exporterCommand: Run = async (given, host) => {
  const options = given.options as ExporterOptions // the table has these
  const { logFormat = 'auto' } = options
  const isText = logFormat === 'text' || (logFormat === 'auto' && host.out.isTTY === true)
  const exporter = await startExporter(options, {
    writeLog: (emitter, level) =>
      writeLog(emitter, level, isText ? 'text' : 'json', { pid: process.pid, hostname: hostname() }),
  })
  try {
    await new Promise<void>((resolve) => {
      if (host.signal.aborted) resolve()
      else host.signal.addEventListener('abort', () => resolve(), { once: true })
    })
  } finally {
    await exporter.close()
  }
  return EXIT_CODES.done.code
}
