/** Fields of filters, which stand in the address. */
import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { setQuery } from '../router.js'
import { Icon } from './icons.js'

/** A field that is in force when one leaves it or presses Enter: no request a letter. */
export function Filter({
  name,
  placeholder,
  value,
  list,
  onApply = (next) => setQuery({ [name]: next }),
}: {
  readonly name: string
  readonly placeholder: string
  /** What the address says. */
  readonly value: string
  readonly list?: readonly string[]
  /** Default: puts it into the address by its name. */
  readonly onApply?: (next: string) => void
}): JSX.Element {
  const [text, setText] = useState(value)
  useEffect(() => setText(value), [value])
  const apply = (next: string): void => {
    if (next.trim() !== value) onApply(next.trim())
  }
  return (
    <>
      <input
        class="input"
        type="search"
        name={name}
        aria-label={placeholder}
        placeholder={placeholder}
        spellcheck={false}
        autoComplete="off"
        value={text}
        list={list === undefined ? undefined : `of-${name}`}
        onInput={(event) => setText(event.currentTarget.value)}
        onChange={(event) => apply(event.currentTarget.value)}
        onKeyDown={(event) => event.key === 'Enter' && apply(event.currentTarget.value)}
      />
      {list !== undefined && (
        <datalist id={`of-${name}`}>
          {list.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      )}
    </>
  )
}

/** A filter that has no field: said, and taken away by a click. */
export function FilterChip({ name, text }: { readonly name: string; readonly text: string }): JSX.Element {
  return (
    <button
      type="button"
      class="chip"
      title={`Do not filter by ${name}`}
      onClick={() => setQuery({ [name]: undefined })}
    >
      <span class="cut">
        {name} <b>{text}</b>
      </span>
      <Icon name="close" size={12} />
    </button>
  )
}
