/** The command `graflow` in the test's own process: what it prints, where to it is told to end, and the modules that it finds. */
import type { Host, Screen } from '../../bin/host.js'
import { main } from '../../bin/main.js'
import { isNode } from '../../lib/flow/expression.js'
import { isPolicy } from '../../lib/flow/make.js'
import { expressionOf } from '../../lib/flow/node.js'
import type { LoadedModule } from '../../lib/modules/task-modules.js'
import { within } from './waits.js'

/** An output that keeps what is written; `onWrite` is called each time. */
export class KeptScreen implements Screen {
  text = ''
  readonly isTTY: boolean
  readonly columns: number
  onWrite: () => void = () => undefined

  constructor(isTTY = false, columns = 100) {
    this.isTTY = isTTY
    this.columns = columns
  }

  write(text: string): void {
    this.text += text
    this.onWrite()
  }

  /** Resolves when it has a match; rejects with what it has when that does not come in time. */
  async says(pattern: RegExp, withinMs = 5_000): Promise<void> {
    if (pattern.test(this.text)) return
    const said = new Promise<void>((resolve) => {
      this.onWrite = () => {
        if (pattern.test(this.text)) resolve()
      }
    })
    await within(withinMs, said, () => `${String(pattern)}, got ${JSON.stringify(this.text)}`)
  }
}

export interface CommandHost extends Host {
  readonly out: KeptScreen
  readonly err: KeptScreen
}

/** @param exports what every task module exports, as far as the command sees */
export const commandHost = (
  exports: Readonly<Record<string, unknown>> = {},
  given: Partial<Host> & { readonly isTTY?: boolean; readonly columns?: number } = {},
): CommandHost => {
  const { isTTY = false, columns, ...others } = given
  return {
    ...{ env: {}, folder: __dirname, signal: new AbortController().signal, now: () => Date.now() },
    ...{ readInput: () => Promise.resolve(''), load: (paths) => Promise.resolve([moduleOf(paths[0] ?? '', exports)]) },
    ...others,
    ...{ out: new KeptScreen(isTTY, columns), err: new KeptScreen(isTTY, columns) },
  }
}

/** A module as lib/modules/task-modules.ts gives it. */
function moduleOf(path: string, exports: Readonly<Record<string, unknown>>): LoadedModule {
  const nodes = Object.entries(exports).flatMap(([name, value]) =>
    isNode(value) ? [[name, expressionOf(value)] as const] : [],
  )
  return {
    path,
    expressions: nodes.map(([, expression]) => expression),
    exported: new Map(nodes),
    policies: Object.values(exports).filter(isPolicy),
  }
}

/** Runs a command to its end. */
export async function command(
  argv: readonly string[],
  exports: Readonly<Record<string, unknown>> = {},
  given: Partial<Host> & { readonly isTTY?: boolean } = {},
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const host = commandHost(exports, given)
  const code = await main(argv, host)
  return { code, out: host.out.text, err: host.err.text }
}
