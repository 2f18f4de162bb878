/** The dashboard: where it begins. */
import { render } from 'preact'

const root = document.getElementById('app')
if (root !== null) render(<main>Graflow</main>, root)
