/** `graflow report`: one run as one page that needs no network. */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { messageOf } from '../../lib/describe.js'
import { invalid } from '../command.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Run } from '../host.js'
import { toJson } from '../output.js'
import { oneWord, withClient } from './operate.js'

export const reportCommand: Run = async (given, host) => {
  const { reportOut } = given.options as { readonly reportOut?: string } // the table has it
  const id = oneWord(given.words, 'the id of a run', 'graflow report ID --out run.html')
  const report = await withClient(given, (graflow) => graflow.runs.report(id))
  const isJson = given.switches.has('json')
  const text = isJson ? toJson(report.data) : report.toHtml()
  if (reportOut === undefined && (isJson || host.out.isTTY !== true)) {
    host.out.write(text)
    return EXIT_CODES.done.code
  }
  const path = resolve(host.folder, reportOut ?? `${id.replaceAll(/[^A-Za-z0-9_.-]/g, '-')}.html`)
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw invalid(`--out: cannot write ${path}: ${messageOf(error)}`)
  }
  host.err.write(`${path}\n`)
  return EXIT_CODES.done.code
}
