/** What `/` opens: finds pages, runs by id, workflow and tag, workers and queues. What one types is found without leaving the keys. */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { get } from '../api.js'
import { dialogs } from '../parts/dialog.js'
import { Icon, type IconName } from '../parts/icons.js'
import { go, href, runHref } from '../router.js'
import type { PageOf } from '../wire.js'
import { PAGES } from './rail.js'

interface Found {
  readonly icon: IconName
  readonly text: string
  readonly kind: string
  readonly to: string
}

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

const MOST = 12
const names = async (path: string): Promise<readonly string[]> => {
  const { items } = await get<PageOf<{ readonly name?: string; readonly id?: string }>>(path, { limit: 200 })
  return items.flatMap(({ name, id }) => name ?? id ?? [])
}

/** Workflows, workers and queues there are; what cannot be asked is left out. */
function useNames(): readonly Found[] {
  const [found, setFound] = useState<readonly Found[]>([])
  useEffect(() => {
    let isOver = false
    const add = async (path: string, of: (name: string) => Found): Promise<void> => {
      try {
        const all = (await names(path)).map(of)
        if (!isOver) setFound((before) => [...before, ...all])
      } catch {
        // the rest is found without it
      }
    }
    void add('/workflows', (name) => ({
      icon: 'runs',
      text: name,
      kind: 'runs of the workflow',
      to: href(['runs'], { workflow: name }),
    }))
    void add('/cluster/workers', (id) => ({ icon: 'workers', text: id, kind: 'worker', to: href(['workers'], { id }) }))
    void add('/queues', (name) => ({ icon: 'queues', text: name, kind: 'queue', to: href(['queues'], { name }) }))
    return () => {
      isOver = true
    }
  }, [])
  return found
}

function matches(text: string, known: readonly Found[]): readonly Found[] {
  const pages = PAGES.map(
    ({ at, title, icon }): Found => ({ icon, text: title, kind: 'page', to: href(at === '' ? [] : [at]) }),
  )
  const start: Found = { icon: 'start', text: 'Start a run', kind: 'page', to: href(['start']) }
  const word = text.trim().toLowerCase()
  if (word === '') return [...pages, start]
  const hits = [...pages, start, ...known].filter((one) => one.text.toLowerCase().includes(word))
  return [
    ...hits.slice(0, MOST),
    { icon: 'right', text: text.trim(), kind: 'open the run of this id', to: runHref(text.trim()) },
    { icon: 'runs', text: text.trim(), kind: 'runs with this tag', to: href(['runs'], { tag: text.trim() }) },
  ]
}

function Search({ onClose }: { readonly onClose: () => void }): JSX.Element {
  const element = useRef<HTMLDialogElement>(null)
  const [text, setText] = useState('')
  const [chosen, choose] = useState(0)
  const found = matches(text, useNames())
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
          aria-label="Search pages, runs, workflows, workers and queues"
          placeholder="A run’s id, a workflow, a tag, a worker, a queue …"
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
