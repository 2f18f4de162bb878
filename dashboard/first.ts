/**
 * Runs before the first paint, which waits for it: the colours that one has chosen, and nothing else. The dashboard itself comes behind the frame that the
 * page brings with it, so that what a browser has to read and run of it keeps nobody from seeing that something is there.
 */
import { keptTheme, showTheme } from './kept-theme.js'

/** With the version that this script was asked for with: both are of one build. */
const dashboard = ((): string => {
  const { currentScript } = document
  const own = currentScript instanceof HTMLScriptElement ? currentScript.src : location.href
  const url = new URL('app.js', own)
  url.search = new URL(own).search
  return url.href
})()

function begin(): void {
  void import(dashboard)
}

showTheme(keptTheme())
// a tab behind another one paints nothing
if (document.hidden) begin()
else requestAnimationFrame(() => setTimeout(begin))
