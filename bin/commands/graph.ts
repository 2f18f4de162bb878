/** `graflow graph`: a flow of a task module as text or as a drawing. Needs no Redis. */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { messageOf } from '../../lib/describe.js'
import { GraflowError } from '../../lib/errors.js'
import { print } from '../../lib/flow/print.js'
import { drawing } from '../../lib/graph/drawing.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Host, Run } from '../host.js'
import { modulesOf } from '../modules.js'
import { painter, toJson } from '../output.js'
import { flowsOf, type Named, selectFlow } from '../select-flow.js'
import { table } from '../table.js'

interface GraphSettings {
  readonly workflow?: string
  readonly format?: 'text' | 'mermaid' | 'svg'
  readonly out?: string
}

export const graphCommand: Run = async (given, host) => {
  const { workflow, format = 'text', out } = given.options as GraphSettings // the table has these
  const modules = await modulesOf(given, host)
  const isList = format === 'text' && workflow === undefined
  const flows = isList ? flowsOf(modules) : [selectFlow(modules, workflow)]
  const text = given.switches.has('json') ? toJson(flows.map(jsonOf)) : textOf(flows, format, isList, host)
  if (out === undefined) host.out.write(text)
  else write(resolve(host.folder, out), text)
  return EXIT_CODES.done.code
}

const jsonOf = ({ name, expression }: Named): object => ({
  name,
  kind: expression.kind,
  text: print(expression),
  hash: drawing.hash(expression),
  mermaid: drawing.mermaid(expression),
})

function textOf(
  flows: readonly Named[],
  format: NonNullable<GraphSettings['format']>,
  isList: boolean,
  host: Host,
): string {
  const [first] = flows
  if (isList) {
    const paint = painter(host.out, host.env)
    const rows = flows.map(({ name, expression }) => [name, expression.kind, print(expression)])
    return table(['NAME', 'KIND', 'FLOW'], rows, host.out, (text, _, row) =>
      row === undefined ? paint('dim', text) : text,
    )
  }
  if (first === undefined) return ''
  if (format === 'mermaid') return ended(drawing.mermaid(first.expression))
  if (format === 'svg') return ended(drawing.svg(first.expression))
  return ended(print(first.expression))
}

const ended = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`)

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw new GraflowError('INVALID_OPTION', `--out: cannot write ${path}: ${messageOf(error)}`)
  }
}
