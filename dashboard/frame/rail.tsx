/** The pages, one below the other, with what needs a person counted beside them. */
import type { JSX } from 'preact'
import { brief } from '../format.js'
import { Icon, type IconName } from '../parts/icons.js'
import { href } from '../router.js'
import { store, useStore } from '../store.js'
import { setTheme, type Theme, theme } from '../theme.js'
import { showKeys } from './help.js'

/** By page; what the overview finds. `isLoud` stands out. */
export const railCounts = store<
  Readonly<Record<string, { readonly count: number; readonly isLoud?: boolean; readonly of: string }>>
>({})

export const PAGES: readonly { readonly at: string; readonly title: string; readonly icon: IconName }[] = [
  { at: '', title: 'Overview', icon: 'overview' },
  { at: 'runs', title: 'Runs', icon: 'runs' },
  { at: 'waits', title: 'Waits', icon: 'waits' },
  { at: 'queues', title: 'Queues', icon: 'queues' },
  { at: 'workers', title: 'Workers', icon: 'workers' },
  { at: 'dead-letters', title: 'Dead letters', icon: 'dead' },
  { at: 'builds', title: 'Builds', icon: 'builds' },
  { at: 'cluster', title: 'Cluster', icon: 'cluster' },
]

function Brand(): JSX.Element {
  return (
    <svg
      width="20"
      height="20"
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d="M5.2 10h2.3c2.6 0 2-5 5.3-5M7.500 10h5.300M7.500 10c2.600 0 2 5 5.300 5" />
      <circle cx="3.400" cy="10" r="1.800" fill="currentColor" stroke="none" />
      <circle cx="15.200" cy="5" r="1.800" />
      <circle cx="15.200" cy="10" r="1.800" />
      <circle cx="15.200" cy="15" r="1.800" />
    </svg>
  )
}

export function Rail({ active, onClose }: { readonly active: string; readonly onClose: () => void }): JSX.Element {
  const counts = useStore(railCounts)
  return (
    <aside class="rail" onKeyDown={(event) => event.key === 'Escape' && onClose()}>
      <a class="brand" href={href([])} aria-label="Graflow, to the overview">
        <Brand />
        <span>graflow</span>
      </a>
      <nav class="nav" aria-label="Pages">
        {PAGES.map(({ at, title, icon }) => {
          const found = counts[at]
          return (
            <a key={at} href={href(at === '' ? [] : [at])} aria-current={active === at ? 'page' : undefined}>
              <Icon name={icon} />
              <span>{title}</span>
              {found !== undefined && found.count > 0 && (
                <span class={`nav-count${found.isLoud === true ? ' is-loud' : ''}`} title={found.of}>
                  {brief(found.count)}
                  <span class="off-screen"> {found.of}</span>
                </span>
              )}
            </a>
          )
        })}
      </nav>
      <div class="rail-foot">
        <ThemeSwitch />
        <button type="button" onClick={showKeys}>
          <Icon name="key" />
          <span>Keyboard</span>
          <kbd>?</kbd>
        </button>
      </div>
    </aside>
  )
}

const NEXT: Readonly<Record<Theme, Theme>> = { auto: 'light', light: 'dark', dark: 'auto' }
const WORDS: Readonly<Record<Theme, readonly [word: string, icon: IconName]>> = {
  auto: ['System colours', 'auto'],
  light: ['Light colours', 'sun'],
  dark: ['Dark colours', 'moon'],
}

function ThemeSwitch(): JSX.Element {
  const current = useStore(theme)
  const [word, icon] = WORDS[current]
  return (
    <button type="button" onClick={() => setTheme(NEXT[current])} title="System, light or dark: a click changes it">
      <Icon name={icon} />
      <span>{word}</span>
    </button>
  )
}
