/** Dialogs: the browser's own, which keep the focus within and close with Escape. */
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { type Store, store, useStore } from '../store.js'
import { Icon } from './icons.js'

type Draw = () => JSX.Element
const open: Store<readonly { readonly id: number; readonly draw: Draw }[]> = store([])
let last = 0

export const dialogs = {
  /** Shows one; returns how to close it. */
  open(draw: Draw): () => void {
    last += 1
    const id = last
    open.set([...open.get(), { id, draw }])
    return () => open.set(open.get().filter((one) => one.id !== id))
  },
}

/** Where dialogs are drawn: once, in the frame. */
export function DialogHost(): JSX.Element {
  return (
    <>
      {useStore(open).map(({ id, draw }) => (
        <Drawn key={id} draw={draw} />
      ))}
    </>
  )
}
const Drawn = ({ draw }: { readonly draw: Draw }): JSX.Element => draw()

export interface DialogProps {
  readonly title: string
  readonly children: ComponentChildren
  readonly onClose: () => void
  readonly isWide?: boolean
  /** Neither a cross nor Escape closes it. */
  readonly isFirm?: boolean
}

export function Dialog({ title, children, onClose, isWide = false, isFirm = false }: DialogProps): JSX.Element {
  const element = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const before = document.activeElement
    element.current?.showModal()
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus()
    }
  }, [])
  return (
    <dialog
      ref={element}
      class={`dialog${isWide ? ' is-wide' : ''}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        if (!isFirm) onClose()
      }}
      onClick={(event) => {
        if (event.target === element.current && !isFirm) onClose()
      }}
    >
      <div class="dialog-inside">
        <header class="dialog-head">
          <h2 id={id}>{title}</h2>
          {!isFirm && (
            <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
              <Icon name="close" />
            </button>
          )}
        </header>
        {children}
      </div>
    </dialog>
  )
}
