/**
 * Runs before the first paint, which waits for it: the colours that one has chosen, and nothing else. The dashboard itself comes behind the frame that the
 * page brings with it, with its style sheet: what a browser has to load, read and run of it keeps nobody from seeing that something is there.
 */
import { keptTheme, showTheme } from './kept-theme.js'

const own = document.currentScript instanceof HTMLScriptElement ? document.currentScript.src : location.href

/** With the version that this script was asked for with: all are of one build. */
function addressOf(name: string): string {
  const url = new URL(name, own)
  url.search = new URL(own).search
  return url.href
}

/** Resolves once it is there, or is known not to come. */
function load(rel: string, name: string): Promise<unknown> {
  const link = document.createElement('link')
  const ended = new Promise((resolve) => {
    link.addEventListener('load', resolve)
    link.addEventListener('error', resolve)
  })
  Object.assign(link, { rel, href: addressOf(name) })
  document.head.append(link)
  return ended
}

async function begin(): Promise<void> {
  const styles = load('stylesheet', 'app.css')
  void load('modulepreload', 'app.js')
  await styles // else what it draws would be seen without
  await import(addressOf('app.js'))
}

showTheme(keptTheme())
// a tab behind another one paints nothing
if (document.hidden) void begin()
else requestAnimationFrame(() => setTimeout(() => void begin()))
