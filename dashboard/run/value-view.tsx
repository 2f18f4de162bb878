/** A value of the run, loaded when one wants to see it, as a tree that opens piece by piece. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { at } from '../api.js'
import { count } from '../format.js'
import { Button } from '../parts/buttons.js'
import { Icon } from '../parts/icons.js'
import { Copy } from '../parts/text.js'
import { useQuery } from '../use-query.js'
import { childrenOf, itemOf, type TreeItem, type Types } from './json-tree.js'

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
  RESULT_NOT_FOUND: 'There is none here.',
  NOT_KEPT: 'It is not kept, or not any more.',
}

export function ValueView({ id, path, which, version }: ValueViewProps): JSX.Element {
  const { state, refresh } = useQuery<ValueAnswer>(at`/runs/${id}/values`, {
    query: { path, which, v: version },
    everyMs: 0,
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
          <Copy text={textOf(value)} what={`the ${which} as JSON`} />
          <Tree value={value} types={types} />
          {truncated !== undefined && truncated !== false && (
            <p class="small faint">It is larger: this is its beginning.</p>
          )}
        </div>
      )
    }
  }
}

const Tree = ({ value, types }: { readonly value: unknown; readonly types: Types }): JSX.Element => (
  <div class="tree">
    <Item item={itemOf(value, types)} types={types} isOpenFirst depth={0} />
  </div>
)

const PAGE = 100
const SMALL = 12

function Item({
  item,
  types,
  isOpenFirst,
  depth,
}: {
  readonly item: TreeItem
  readonly types: Types
  readonly isOpenFirst?: boolean
  readonly depth: number
}): JSX.Element {
  const { key, type, size, summary } = item
  const [isOpen, setOpen] = useState(isOpenFirst === true && (size ?? 0) > 0 && (size ?? 0) <= SMALL)
  const [shown, setShown] = useState(PAGE)
  const label = (
    <>
      {key !== undefined && key !== '' && <span class="tree-key">{key}: </span>}
      {isTagged(type) && <span class="tree-type">{type}</span>}
    </>
  )
  if (size === undefined || size === 0)
    return (
      <div class="tree-leaf">
        {label}
        <span class={`tree-value is-${type}`}>{summary}</span>
      </div>
    )
  return (
    <div class="tree-node">
      <button type="button" class="tree-open" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <Icon name={isOpen ? 'down' : 'right'} size={12} />
        <span class="cut">
          {label}
          {isOpen ? (
            <span class="faint">
              {type === 'array' || type === 'Set' || Array.isArray(item.value)
                ? `[${count(size)}]`
                : `{${count(size)}}`}
            </span>
          ) : (
            <span class="tree-summary">{summary}</span>
          )}
        </span>
      </button>
      {isOpen && (
        <div class="tree-inside">
          {childrenOf(item, types, 0, shown).map((child) => (
            <Item key={child.pointer} item={child} types={types} isOpenFirst={depth < 1} depth={depth + 1} />
          ))}
          {size > shown && (
            <Button look="quiet" onClick={() => setShown(shown + PAGE)}>
              Show {count(Math.min(PAGE, size - shown))} more of {count(size)}
            </Button>
          )}
        </div>
      )}
    </div>
  )
}

/** Types that the signs around a value do not show already. */
const isTagged = (type: TreeItem['type']): boolean =>
  !['string', 'number', 'boolean', 'null', 'array', 'object', 'undefined', 'bigint', 'omitted'].includes(type)

/** As JSON, of which some values have no form. */
function textOf(value: unknown): string {
  const text: unknown = JSON.stringify(value, undefined, 2)
  return typeof text === 'string' ? text : 'undefined'
}
