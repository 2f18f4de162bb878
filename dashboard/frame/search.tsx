/** What `/` opens: what one types is found without leaving the keys. What is found is search-hits.ts's. */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { dialogs } from '../parts/dialog.js'
import { Icon } from '../parts/icons.js'
import { go } from '../router.js'
import { type Found, matches, useExact, useKnown } from './search-hits.js'

let isOpen = false

export function openSearch(): void {
  if (isOpen) return
  isOpen = true
  const close = dialogs.open(() => (
    <Search
      onClose={() => {
        isOpen = false
        close()
      }}
    />
  ))
}

function Search({ onClose }: { readonly onClose: () => void }): JSX.Element {
  const element = useRef<HTMLDialogElement>(null)
  const [text, setText] = useState('')
  const [chosen, choose] = useState(0)
  const found = matches(text, useKnown(), useExact(text))
  const current = Math.min(chosen, found.length - 1)
  useEffect(() => {
    const before = document.activeElement
    element.current?.showModal()
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus()
    }
  }, [])
  useEffect(() => {
    document.getElementById(`found-${current}`)?.scrollIntoView({ block: 'nearest' })
  }, [current])
  const open = (one: Found | undefined): void => {
    if (one === undefined) return
    onClose()
    go(one.to)
  }
  const key = (event: KeyboardEvent): void => {
    if (event.key === 'ArrowDown') choose((current + 1) % found.length)
    else if (event.key === 'ArrowUp') choose((current + found.length - 1) % found.length)
    else if (event.key === 'Enter') open(found[current])
    else return
    event.preventDefault()
  }
  return (
    <dialog
      ref={element}
      class="dialog palette"
      aria-label="Search"
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onClick={(event) => event.target === element.current && onClose()}
    >
      <div class="palette-inside">
        <input
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-controls="found"
          aria-activedescendant={`found-${current}`}
          aria-label="Search pages, runs, branches, workflows, workers and queues"
          placeholder="An id of a run, a path, a workflow, a tag, a worker …"
          autofocus
          spellcheck={false}
          autoComplete="off"
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value)
            choose(0)
          }}
          onKeyDown={key}
        />
        <ul id="found" role="listbox" aria-label="Found">
          {found.map((one, i) => (
            <li
              key={`${one.kind} ${one.to}`}
              id={`found-${i}`}
              role="option"
              aria-selected={i === current}
              onMouseMove={() => choose(i)}
              onClick={() => open(one)}
            >
              <Icon name={one.icon} />
              <span class="cut">{one.text}</span>
              <span>{one.kind}</span>
            </li>
          ))}
        </ul>
      </div>
    </dialog>
  )
}
