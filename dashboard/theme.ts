/** Light, dark, or as the system has it. The style sheet has both colours of each token; what draws on a canvas asks here for the one in force. */
import { store } from './store.js'

export type Theme = 'auto' | 'light' | 'dark'
const NAME = 'graflow-theme'

function kept(): Theme {
  try {
    const value = localStorage.getItem(NAME)
    return value === 'light' || value === 'dark' ? value : 'auto'
  } catch {
    return 'auto'
  }
}

export const theme = store<Theme>(kept())
/** Counts changes of the colours in force, also those of the system: canvases draw anew. */
export const themeChanges = store(0)

const found = new Map<string, string>()
function changed(): void {
  found.clear()
  themeChanges.set(themeChanges.get() + 1)
}

function apply(): void {
  if (theme.get() === 'auto') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme.get()
  changed()
}

export function setTheme(next: Theme): void {
  try {
    if (next === 'auto') localStorage.removeItem(NAME)
    else localStorage.setItem(NAME, next)
  } catch {
    // lasts until the page is left
  }
  theme.set(next)
  apply()
}

export function startTheme(): void {
  apply()
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed)
}

/** The colour of a token that is in force, such as `colour('--failed')` → `rgb(207, 34, 46)`. */
export function colour(token: string): string {
  const known = found.get(token)
  if (known !== undefined) return known
  const probe = document.createElement('span')
  probe.style.color = `var(${token})`
  document.body.append(probe)
  const value = getComputedStyle(probe).color
  probe.remove()
  found.set(token, value)
  return value
}
