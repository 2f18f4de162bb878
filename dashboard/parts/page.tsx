/** The head of a page, and boxes on it. */
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useLayoutEffect } from 'preact/hooks'
import { scrollOfEntry } from '../router.js'
import { me } from '../session.js'
import { useStore } from '../store.js'

export interface PageProps {
  readonly title: string
  /** What the tab of the browser says before the prefix; the title unless told. */
  readonly tab?: string
  /** Beside the title. */
  readonly note?: ComponentChildren
  readonly actions?: ComponentChildren
  /** Below the title: filters. */
  readonly tools?: ComponentChildren
  readonly children: ComponentChildren
}

export function Page({ title, tab = title, note, actions, tools, children }: PageProps): JSX.Element {
  const who = useStore(me)
  useEffect(() => {
    // the prefix is «graflow» where nobody has chosen another one
    document.title = [tab, ...new Set([who?.keyPrefix ?? 'graflow', 'graflow'])].join(' · ')
  }, [tab, who])
  useLayoutEffect(() => {
    const main = document.getElementById('main')
    if (main !== null) main.scrollTop = scrollOfEntry()
  }, [])
  return (
    <div class="page">
      <header class="page-head">
        <div class="page-title">
          <h1>{title}</h1>
          {note !== undefined && <span class="soft">{note}</span>}
        </div>
        {actions !== undefined && <div class="page-actions">{actions}</div>}
      </header>
      {tools !== undefined && <div class="page-tools">{tools}</div>}
      {children}
    </div>
  )
}

export function Box({
  title,
  note,
  children,
  isFlush = false,
}: {
  readonly title: string
  readonly note?: ComponentChildren
  readonly children: ComponentChildren
  readonly isFlush?: boolean
}): JSX.Element {
  return (
    <section class={`box${isFlush ? ' is-flush' : ''}`}>
      <header class="box-head">
        <h2>{title}</h2>
        {note !== undefined && <span class="soft">{note}</span>}
      </header>
      <div class="box-body">{children}</div>
    </section>
  )
}
