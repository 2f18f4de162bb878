/** Values and errors of users: shown as text, never as markup. Of what is large a part is open, and the rest a click away. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { count } from '../format.js'
import type { WireError } from '../wire.js'
import { Copy } from './text.js'

/** By JSON pointer: what a value was before it was JSON, such as `Date`. */
export type Types = Readonly<Record<string, string>>

const OPEN_DEPTH = 2
const OPEN_ITEMS = 12
const STEP = 100
const MOST_TEXT = 2_000

interface NodeProps {
  readonly value: unknown
  readonly types: Types
  readonly pointer: string
  readonly depth: number
  readonly name?: string
}

/** A value that one can open and close; types that JSON has no form for stand beside it. */
export function ValueView({ value, types = {} }: { readonly value: unknown; readonly types?: Types }): JSX.Element {
  return (
    <div class="value">
      <div class="value-copy">
        <Copy text={typeof value === 'string' ? value : textOf(value)} what="the value" />
      </div>
      <Node value={value} types={types} pointer="" depth={0} />
    </div>
  )
}

/** JSON has no form for undefined. */
const textOf = (value: unknown): string => (value === undefined ? 'undefined' : JSON.stringify(value, undefined, 2))

const escaped = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1')

function Node({ value, types, pointer, depth, name }: NodeProps): JSX.Element {
  const type = types[pointer]
  if (typeof value !== 'object' || value === null) {
    return (
      <div class="value-line">
        {name !== undefined && <Name of={name} />}
        <Leaf value={value} />
        {type !== undefined && <span class="value-type">{type}</span>}
      </div>
    )
  }
  return <Branch {...{ value, types, pointer, depth }} {...(name !== undefined && { name })} type={type} />
}

const Name = ({ of }: { readonly of: string }): JSX.Element => <span class="value-name">{of}:</span>

function Branch({
  value,
  types,
  pointer,
  depth,
  name,
  type,
}: NodeProps & { readonly value: object; readonly type: string | undefined }): JSX.Element {
  const isList = Array.isArray(value)
  const entries: readonly (readonly [string, unknown])[] = Object.entries(value)
  const [isOpen, setOpen] = useState(depth < OPEN_DEPTH && (depth === 0 || entries.length <= OPEN_ITEMS))
  const [shown, setShown] = useState(STEP)
  const summary = `${type ?? ''}${type === undefined ? '' : ' '}${isList ? `[${count(entries.length)}]` : `{${count(entries.length)}}`}`
  return (
    <div class="value-branch">
      <button type="button" class="value-open" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <span class="value-arrow" aria-hidden="true">
          {isOpen ? '▾' : '▸'}
        </span>
        {name !== undefined && <Name of={name} />}
        <span class="faint">{summary}</span>
      </button>
      {isOpen && (
        <div class="value-inside">
          {entries.slice(0, shown).map(([key, one]) => (
            <Node
              key={key}
              value={one}
              types={types}
              pointer={`${pointer}/${escaped(key)}`}
              depth={depth + 1}
              name={key}
            />
          ))}
          {entries.length > shown && (
            <button type="button" class="value-more link" onClick={() => setShown(shown + STEP * 10)}>
              {count(entries.length - shown)} more
            </button>
          )}
        </div>
      )}
    </div>
  )
}

function Leaf({ value }: { readonly value: unknown }): JSX.Element {
  const [isWhole, setWhole] = useState(false)
  if (typeof value === 'string') {
    const text = isWhole ? value : value.slice(0, MOST_TEXT)
    return (
      <span class="value-text">
        {JSON.stringify(text)}
        {value.length > text.length && (
          <button type="button" class="link" onClick={() => setWhole(true)}>
            {count(value.length - text.length)} more characters
          </button>
        )}
      </span>
    )
  }
  return (
    <span class={typeof value === 'number' ? 'value-number num' : 'value-word'}>
      {value === undefined ? 'undefined' : JSON.stringify(value)}
    </span>
  )
}

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
  const { name, code, message, stack, cause, errors, details } = error
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
      {errors?.slice(0, MOST_CAUSES).map((one, i) => (
        <div class="error-cause" key={i}>
          <ErrorView error={one} depth={depth + 1} />
        </div>
      ))}
    </div>
  )
}
