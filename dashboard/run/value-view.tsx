/** A value of the run, loaded when one wants to see it, as a tree that opens piece by piece. */
import type { JSX } from 'preact'
import { at } from '../api.js'
import { Button } from '../parts/buttons.js'
import type { Types } from '../parts/json-tree.js'
import { Copy } from '../parts/text.js'
import { jsonText, Tree } from '../parts/value-tree.js'
import { useQuery } from '../use-query.js'

export interface ValueAnswer {
  readonly value?: unknown
  readonly types?: Types
  /** It was larger than is shown. */
  readonly truncated?: unknown
}

export interface ValueViewProps {
  readonly id: string
  readonly path: string
  readonly which: 'input' | 'output'
  /** It may still change: it is asked for again when this does. */
  readonly version: string
}

/** Reasons for which there is no value that are no faults. */
const NONE: Readonly<Record<string, string>> = {
  RESULT_NOT_READY: 'There is none yet.',
  RESULT_NOT_FOUND: 'There is none here, or not any more.',
  NOT_KEPT: 'It is not kept, or not any more.',
}

export function ValueView({ id, path, which, version }: ValueViewProps): JSX.Element {
  const { state, refresh } = useQuery<ValueAnswer>(at`/runs/${id}/values`, {
    ...{ query: { path, which }, version, everyMs: 0 },
  })
  switch (state.is) {
    case 'loading':
      return <p class="value-none faint">Loading …</p>
    case 'failed':
    case 'gone': {
      const { code, message } = state.error
      if (NONE[code] !== undefined) return <p class="value-none faint">{NONE[code]}</p>
      return (
        <div class="value-none">
          <p class="soft wrap">
            {which === 'output' ? 'It gave none: ' : ''}
            {message} <code class="faint">{code}</code>
          </p>
          {state.is === 'failed' &&
          state.error.status !== 409 &&
          state.error.status !== 410 &&
          state.error.status < 500 ? null : (
            <Button look="quiet" onClick={() => void refresh()}>
              Try again
            </Button>
          )}
        </div>
      )
    }
    case 'ready': {
      const { value, types = {}, truncated } = state.value
      return (
        <div class="run-value">
          <Copy text={jsonText(value)} what={`the ${which} as JSON`} />
          <Tree value={value} types={types} />
          {truncated !== undefined && truncated !== false && (
            <p class="small faint">It is larger: this is its beginning.</p>
          )}
        </div>
      )
    }
  }
}
