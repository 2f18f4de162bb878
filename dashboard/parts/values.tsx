/** Values and errors of users: shown as text, never as markup. Of what is large a part is open, and the rest a click away. */
import type { JSX } from 'preact'
import type { WireError } from '../wire.js'
import type { Types } from './json-tree.js'
import { Copy } from './text.js'
import { jsonText, Tree } from './value-tree.js'

/** A value that one can open, close and copy; types that JSON has no form for stand beside it. */
export const ValueView = ({ value, types = {} }: { readonly value: unknown; readonly types?: Types }): JSX.Element => (
  <div class="letter-value">
    <Copy text={typeof value === 'string' ? value : jsonText(value)} what="the value" />
    <Tree value={value} types={types} />
  </div>
)

const MOST_CAUSES = 8

/** An error with its stack, its causes, and what else it is made of. */
export function ErrorView({
  error,
  depth = 0,
  isStackOpen = depth === 0,
}: {
  readonly error: WireError
  readonly depth?: number
  readonly isStackOpen?: boolean
}): JSX.Element {
  const { name, code, message, stack, cause, errors = [], details } = error
  // the first of several is often the cause, too
  const others = errors.filter((one) => JSON.stringify(one) !== JSON.stringify(cause))
  return (
    <div class="error-view">
      <p class="error-message wrap">
        <b>{code ?? name ?? 'Error'}</b> {message}
      </p>
      {stack !== undefined && (
        <details open={isStackOpen}>
          <summary>Stack</summary>
          <pre tabIndex={0}>{stack}</pre>
        </details>
      )}
      {details !== undefined && details !== null && typeof details === 'object' && Object.keys(details).length > 0 && (
        <details>
          <summary>Details</summary>
          <ValueView value={details} />
        </details>
      )}
      {cause !== undefined && depth < MOST_CAUSES && (
        <div class="error-cause">
          <span class="small soft">caused by</span>
          <ErrorView error={cause} depth={depth + 1} />
        </div>
      )}
      {others.slice(0, MOST_CAUSES).map((one, i) => (
        <div class="error-cause" key={i}>
          <ErrorView error={one} depth={depth + 1} />
        </div>
      ))}
    </div>
  )
}
