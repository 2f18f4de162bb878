/** The dashboard: where it begins. */
import { render } from 'preact'
import { startClock } from './clock.js'
import { Frame } from './frame/frame.js'
import { startRouter } from './router.js'
import { startShortcuts } from './shortcuts.js'
import { startTheme } from './theme.js'

startTheme()
startClock()
startRouter()
startShortcuts()
const root = document.getElementById('app')
if (root !== null) {
  root.replaceChildren() // the frame that the page came with
  render(<Frame />, root)
}
