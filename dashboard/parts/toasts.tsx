/** What has come of a command, told at the edge of the page. A success goes by itself; a failure stays until it is closed. */
import type { JSX } from 'preact'
import { store, useStore } from '../store.js'
import { Icon } from './icons.js'

export interface Toast {
  readonly kind: 'done' | 'failed'
  readonly text: string
  readonly code?: string
}

const SHOWN_MS = 5_000
const MOST = 4
const shown = store<readonly (Toast & { readonly id: number })[]>([])
let last = 0

export function toast(one: Toast): void {
  last += 1
  const id = last
  shown.set([...shown.get(), { ...one, id }].slice(-MOST))
  if (one.kind === 'done') setTimeout(() => close(id), SHOWN_MS)
}

const close = (id: number): void => shown.set(shown.get().filter((one) => one.id !== id))

export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {useStore(shown).map(({ id, kind, text, code }) => (
        <div key={id} class={`toast is-${kind}`}>
          <Icon name={kind === 'done' ? 'check' : 'warning'} />
          <p>
            {text}
            {code !== undefined && <code>{code}</code>}
          </p>
          <button type="button" class="icon-button" aria-label="Close" onClick={() => close(id)}>
            <Icon name="close" size={14} />
          </button>
        </div>
      ))}
    </div>
  )
}
