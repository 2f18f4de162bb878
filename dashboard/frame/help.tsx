/** The list of keys that `?` shows: made from what the frame and the page have registered. */
import type { JSX } from 'preact'
import { Dialog, dialogs } from '../parts/dialog.js'
import { shortcutsInForce } from '../shortcuts.js'

export function showKeys(): void {
  const close = dialogs.open(() => <Keys onClose={() => close()} />)
}

function Keys({ onClose }: { readonly onClose: () => void }): JSX.Element {
  const seen = new Map(shortcutsInForce().map(({ keys, does }) => [keys, does]))
  return (
    <Dialog title="Keys" onClose={onClose} isWide>
      <dl class="keys">
        {[...seen].map(([keys, does]) => (
          <div key={keys}>
            <dt>
              {keys.split(' ').map((one) => (
                <kbd key={one}>{one === 'Enter' ? '↵' : one}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>Esc</kbd>
          </dt>
          <dd>Close what is open</dd>
        </div>
      </dl>
    </Dialog>
  )
}
