/** Light, dark, or as the system has it. The style sheet has both colours of each token; what draws on a canvas asks here for the one in force. */
import { keepTheme, keptTheme, showTheme, type Theme } from './kept-theme.js'
import { store } from './store.js'

export type { Theme }
export const theme = store<Theme>(keptTheme())
/** Counts changes of the colours in force, also those of the system: canvases draw anew. */
export const themeChanges = store(0)

const found = new Map<string, string>()
function changed(): void {
  found.clear()
  themeChanges.set(themeChanges.get() + 1)
}

export function setTheme(next: Theme): void {
  keepTheme(next)
  theme.set(next)
  showTheme(next)
  changed()
}

export function startTheme(): void {
  showTheme(theme.get())
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
