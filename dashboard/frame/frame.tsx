/** What stands around every page: the rail of pages, the head with where one is and how the stream stands, and one stream of events for the page in view. */
import type { JSX } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { at, get } from '../api.js'
import { clockTime } from '../format.js'
import { apiKey, keyWanted } from '../keys.js'
import { type Live, type LiveState, liveStream } from '../live.js'
import { DialogHost } from '../parts/dialog.js'
import { Icon } from '../parts/icons.js'
import { Toasts } from '../parts/toasts.js'
import { useRailCounts } from '../pages/overview.js'
import { go, href, useRoute } from '../router.js'
import { may, me, type ServerInfo } from '../session.js'
import { useShortcuts } from '../shortcuts.js'
import { useStore } from '../store.js'
import { LiveContext } from '../use-query.js'
import { showKeys } from './help.js'
import { KeyEntry } from './key-entry.js'
import { pageOf } from './pages.js'
import { Rail } from './rail.js'
import { openSearch } from './search.js'

/** The stream that the page in view wants: that of one run on its page, else that of the prefix. */
const streamOf = (parts: readonly string[]): string =>
  parts[0] === 'runs' && parts[1] !== undefined ? `${at`/runs/${parts[1]}/events`}?follow=true` : '/events'

/** There from the first drawing on, so nothing that is drawn with it is drawn, or asked, twice. */
function useLiveStream(path: string, key: string | undefined): Live {
  const live = useMemo(() => liveStream(path), [path, key])
  useEffect(() => {
    live.start()
    return () => live.close()
  }, [live])
  return live
}

export function Frame(): JSX.Element {
  const route = useRoute()
  const key = useStore(apiKey)
  const wanted = useStore(keyWanted)
  const live = useLiveStream(streamOf(route.parts), key)
  const [isMenu, setMenu] = useState(false)
  useEffect(() => setMenu(false), [route.path])
  useServerInfo(key, wanted === 'no')
  useFrameKeys()
  useFocusOfPage(route.path)
  const page = useMemo(() => pageOf(route), [route.path])
  return (
    <LiveContext.Provider value={live}>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault()
          document.getElementById('main')?.focus()
        }}
      >
        To the content
      </a>
      <div class={`frame${isMenu ? ' is-menu' : ''}`}>
        <Rail active={route.parts[0] ?? ''} onClose={() => setMenu(false)} />
        {isMenu && (
          <button type="button" class="rail-shade" aria-label="Close the menu" onClick={() => setMenu(false)} />
        )}
        <Head live={live} onMenu={() => setMenu(!isMenu)} isMenu={isMenu} />
        <main class="main" id="main" tabIndex={-1} key={route.path}>
          {wanted === 'no' && page}
        </main>
      </div>
      {wanted !== 'no' && <KeyEntry isWrong={wanted === 'wrong'} />}
      {wanted === 'no' && <RailCounts />}
      <DialogHost />
      <Toasts />
    </LiveContext.Provider>
  )
}

/** Counts for the rail, below the stream that they are kept up to date by. */
function RailCounts(): null {
  useRailCounts()
  return null
}

/** Who goes to another page by key reads on there; the first page leaves the focus where it is. */
function useFocusOfPage(path: string): void {
  const before = useRef(path)
  useEffect(() => {
    if (before.current === path) return
    before.current = path
    document.getElementById('main')?.focus({ preventScroll: true })
  }, [path])
}

/** Asks which server this is, again until it says so; not with a key that it has refused. */
function useServerInfo(key: string | undefined, isTaken: boolean): void {
  useEffect(() => {
    if (!isTaken) return
    const controller = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const ask = async (): Promise<void> => {
      try {
        me.set(await get<ServerInfo>('/server', undefined, controller.signal))
      } catch {
        if (!controller.signal.aborted) timer = setTimeout(() => void ask(), 3_000)
      }
    }
    void ask()
    return () => {
      controller.abort()
      clearTimeout(timer)
    }
  }, [key, isTaken])
}

function useFrameKeys(): void {
  const to = (keys: string, does: string, ...parts: string[]) => ({ keys, does, run: () => go(href(parts)) })
  useShortcuts([
    { keys: '/', does: 'Search', run: openSearch },
    { keys: '?', does: 'Show the keys', run: showKeys },
    to('g o', 'Overview'),
    to('g r', 'Runs', 'runs'),
    to('g w', 'Waits', 'waits'),
    to('g q', 'Queues', 'queues'),
    to('g k', 'Workers', 'workers'),
    to('g d', 'Dead letters', 'dead-letters'),
    to('g b', 'Builds', 'builds'),
    to('g c', 'Cluster', 'cluster'),
    to('g s', 'Start a run', 'start'),
  ])
}

function Head({
  live,
  onMenu,
  isMenu,
}: {
  readonly live: Live
  readonly onMenu: () => void
  readonly isMenu: boolean
}): JSX.Element {
  const who = useStore(me)
  return (
    <header class="head">
      <button type="button" class="icon-button menu-open" aria-label="Menu" aria-expanded={isMenu} onClick={onMenu}>
        <Icon name="menu" />
      </button>
      <div class="where">
        {who !== undefined && (
          <>
            <code class="cut" title={`Key prefix ${who.keyPrefix}`}>
              {who.keyPrefix}
            </code>
            <span class="cut">{who.store.address ?? 'embedded'}</span>
          </>
        )}
      </div>
      <div class="head-end">
        {who?.key.scope === 'read' && (
          <span class="chip-readonly" title="Your key sees everything and changes nothing.">
            <Icon name="key" size={12} />
            <span>Read only</span>
          </span>
        )}
        <LiveMark live={live} key={live} />
        <button type="button" class="search-open" onClick={openSearch} aria-label="Search">
          <Icon name="search" size={14} />
          <span>Search</span>
          <kbd>/</kbd>
        </button>
        {may(who, 'operate') && (
          <a class="button is-primary is-start" href={href(['start'])} title="Start a run">
            <Icon name="start" size={14} />
            <span>Start</span>
          </a>
        )}
      </div>
    </header>
  )
}

const LiveMark = ({ live }: { readonly live: Live }): JSX.Element => <LiveText state={useStore(live.state)} />

function LiveText({ state }: { readonly state: LiveState }): JSX.Element {
  const [look, text, title] = wordsOf(state)
  return (
    <span class={`live ${look}`} role="status" title={title}>
      <i />
      <b>{text}</b>
      <span class="off-screen">{text}</span>
    </span>
  )
}

function wordsOf(state: LiveState): readonly [look: string, text: string, title: string] {
  switch (state.is) {
    case 'live':
      return ['', 'Live', 'What happens is shown as it happens.']
    case 'connecting':
      return ['is-connecting', 'Connecting', 'The stream of events is being opened.']
    case 'paused':
      return ['is-off', 'Paused', 'The tab was hidden.']
    case 'lost':
      return [
        'is-lost',
        `Reconnecting since ${clockTime(state.since)}`,
        'The server does not answer. It is asked again and again.',
      ]
    case 'refused':
      return ['is-off', 'Not live', state.why]
  }
}
