/** The theme that one has chosen, as the browser keeps it. It is put in force before the first paint (first.ts), so it needs nothing else. */

export type Theme = 'auto' | 'light' | 'dark'
const NAME = 'graflow-theme'

export function keptTheme(): Theme {
  try {
    const value = localStorage.getItem(NAME)
    return value === 'light' || value === 'dark' ? value : 'auto'
  } catch {
    return 'auto' // a browser may forbid storage
  }
}

export function keepTheme(theme: Theme): void {
  try {
    if (theme === 'auto') localStorage.removeItem(NAME)
    else localStorage.setItem(NAME, theme)
  } catch {
    // lasts until the page is left
  }
}

/** The style sheet has both colours of each token; without a choice the system decides. */
export function showTheme(theme: Theme): void {
  if (theme === 'auto') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
}
