/** Asks for the API key when the server wants one. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { setKey } from '../keys.js'
import { Button } from '../parts/buttons.js'
import { Dialog } from '../parts/dialog.js'

export function KeyEntry({ isWrong }: { readonly isWrong: boolean }): JSX.Element {
  const [key, set] = useState('')
  return (
    <Dialog title="API key" onClose={() => undefined} isFirm>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (key.trim() !== '') setKey(key.trim())
        }}
      >
        <p class="soft">
          This server asks for a key. It is kept for this tab until you close it, and sent to this server only.
        </p>
        <div class="field">
          <label for="api-key">Key</label>
          <input
            id="api-key"
            class="input"
            type="password"
            autoComplete="off"
            spellcheck={false}
            autofocus
            value={key}
            onInput={(event) => set(event.currentTarget.value)}
            aria-describedby={isWrong ? 'api-key-wrong' : undefined}
            aria-invalid={isWrong}
          />
          {isWrong && (
            <span id="api-key-wrong" class="wrong" role="alert">
              The server does not know this key. Keys are shown once, when they are made:{' '}
              <code>graflow serve --new-key read</code>
            </span>
          )}
        </div>
        <div class="dialog-buttons">
          <Button type="submit" look="primary" isDisabled={key.trim() === ''}>
            Go on
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
