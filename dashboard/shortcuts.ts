/** Keys that do something, wherever one is on the page, except while one types. The list that `?` shows is made from what is registered. */
import { useEffect, useRef } from 'preact/hooks'

export interface Shortcut {
  /** As `KeyboardEvent.key`; two keys one after the other with a space, such as `g r`. */
  readonly keys: string
  readonly does: string
  readonly run: (event: KeyboardEvent) => void
  /** Left out of the list. */
  readonly isHidden?: boolean
}

const registered = new Set<{ readonly current: readonly Shortcut[] }>()
const CHORD_MS = 1_200
let first: { readonly key: string; readonly at: number } | undefined

/** What is registered now, the frame's first. */
export const shortcutsInForce = (): readonly Shortcut[] =>
  [...registered].flatMap(({ current }) => current).filter(({ isHidden }) => isHidden !== true)

/** Keys of a component for as long as it is on the page; of two with the same keys the later counts. */
export function useShortcuts(shortcuts: readonly Shortcut[]): void {
  const held = useRef(shortcuts)
  held.current = shortcuts
  useEffect(() => {
    registered.add(held)
    return () => void registered.delete(held)
  }, [])
}

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(?:input|textarea|select)$/i.test(target.tagName)) &&
  !(target instanceof HTMLInputElement && /^(?:checkbox|radio|button|submit)$/.test(target.type))

/** What Enter does something with by itself. */
const isPressed = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.closest('a[href], button, summary, [role="button"]') !== null

export function startShortcuts(): void {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
    if (event.key === 'Enter' && isPressed(event.target)) return
    if (document.querySelector('dialog[open]') !== null) return
    const at = performance.now()
    const chord = first !== undefined && at - first.at < CHORD_MS ? `${first.key} ${event.key}` : undefined
    const all = [...registered].flatMap(({ current }) => current)
    const found = all.findLast(({ keys }) => keys === chord) ?? all.findLast(({ keys }) => keys === event.key)
    first =
      found === undefined && all.some(({ keys }) => keys.startsWith(`${event.key} `))
        ? { key: event.key, at }
        : undefined
    if (found === undefined) return
    event.preventDefault()
    found.run(event)
  })
}
