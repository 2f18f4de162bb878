/**
 * Asks for the API key when the server wants one. What is typed is tried with one request, before the page asks with it for all that it shows: a
 * server takes only so many wrong keys.
 */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { type ApiError, call } from '../api.js'
import { plural } from '../format.js'
import { setKey } from '../keys.js'
import { Button } from '../parts/buttons.js'
import { Dialog } from '../parts/dialog.js'
import { asApiError } from '../use-query.js'

const UNKNOWN = 401
const TOO_MANY = 429

/** Why the server does not take a key; undefined where it does. */
async function refusalOf(key: string): Promise<ApiError | undefined> {
  try {
    await call('/server', { headers: { 'x-api-key': key } })
    return undefined
  } catch (error) {
    return asApiError(error)
  }
}

function Refusal({ of: { status, message, retryAfterS = 1 } }: { readonly of: Partial<ApiError> }): JSX.Element {
  if (status === UNKNOWN) {
    return (
      <>
        The server does not know this key. Keys are shown once, when they are made:{' '}
        <code>graflow serve --new-key read</code>
      </>
    )
  }
  if (status === TOO_MANY) {
    return (
      <>
        Too many wrong keys came from your address, so this one was not looked at. Try again in{' '}
        {plural(retryAfterS, 'second')}.
      </>
    )
  }
  return <>{message}</>
}

export function KeyEntry({ isWrong }: { readonly isWrong: boolean }): JSX.Element {
  const [key, set] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [refusal, setRefusal] = useState<Partial<ApiError> | undefined>(isWrong ? { status: UNKNOWN } : undefined)
  const send = async (typed: string): Promise<void> => {
    if (typed === '' || isBusy) return
    setBusy(true)
    const refused = await refusalOf(typed)
    setBusy(false)
    if (refused === undefined) setKey(typed)
    else setRefusal(refused)
  }
  return (
    <Dialog title="API key" onClose={() => undefined} isFirm>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void send(key.trim())
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
            aria-describedby={refusal === undefined ? undefined : 'api-key-wrong'}
            aria-invalid={refusal !== undefined}
          />
          {refusal !== undefined && (
            <span id="api-key-wrong" class="wrong" role="alert">
              <Refusal of={refusal} />
            </span>
          )}
        </div>
        <div class="dialog-buttons">
          <Button type="submit" look="primary" isBusy={isBusy} isDisabled={key.trim() === ''}>
            Go on
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
