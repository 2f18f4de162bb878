/** A value as a tree that opens piece by piece, with the types that JSON has no form for. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { count } from '../format.js'
import { Button } from './buttons.js'
import { Icon } from './icons.js'
import { childrenOf, itemOf, MOST_TEXT, type TreeItem, type Types } from './json-tree.js'

export const Tree = ({ value, types }: { readonly value: unknown; readonly types: Types }): JSX.Element => (
  <div class="tree" tabIndex={0} role="group" aria-label="Value">
    <Item item={itemOf(value, types)} types={types} isOpenFirst depth={0} />
  </div>
)

const PAGE = 100
const SMALL = 12

interface ItemProps {
  readonly item: TreeItem
  readonly types: Types
  readonly isOpenFirst?: boolean
  readonly depth: number
}

function Item({ item, types, isOpenFirst, depth }: ItemProps): JSX.Element {
  const { type, size, summary } = item
  const [isOpen, setOpen] = useState(isOpenFirst === true && (size ?? 0) > 0 && (size ?? 0) <= SMALL)
  const [shown, setShown] = useState(PAGE)
  if (size === undefined || size === 0) return <Leaf item={item} />
  return (
    <div class="tree-node">
      <button type="button" class="tree-open" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <Icon name={isOpen ? 'down' : 'right'} size={12} />
        <span class="cut">
          <Label item={item} />
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

const Label = ({ item: { key, type } }: { readonly item: TreeItem }): JSX.Element => (
  <>
    {key !== undefined && key !== '' && <span class="tree-key">{key}: </span>}
    {isTagged(type) && <span class="tree-type">{type}</span>}
  </>
)

/** What cannot be opened; of a long text the beginning, and the rest by a click. */
function Leaf({ item }: { readonly item: TreeItem }): JSX.Element {
  const { value, type, summary } = item
  const [isWhole, setWhole] = useState(false)
  const left = type === 'string' && typeof value === 'string' && !isWhole ? value.length - MOST_TEXT : 0
  return (
    <div class="tree-leaf">
      <Label item={item} />
      <span class={`tree-value is-${type}`}>{isWhole ? JSON.stringify(value) : summary}</span>
      {left > 0 && (
        <button type="button" class="link" onClick={() => setWhole(true)}>
          {count(left)} more characters
        </button>
      )}
    </div>
  )
}

/** Types that the signs around a value do not show already. */
const isTagged = (type: TreeItem['type']): boolean =>
  !['string', 'number', 'boolean', 'null', 'array', 'object', 'undefined', 'bigint', 'omitted'].includes(type)

/** As JSON, of which some values have no form. */
export function jsonText(value: unknown): string {
  const text: unknown = JSON.stringify(value, undefined, 2)
  return typeof text === 'string' ? text : 'undefined'
}
