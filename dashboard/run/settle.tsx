/** A person decides a branch or step that hangs or failed: one dialog, which is the one question that is asked. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { at, post } from '../api.js'
import { act, Button } from '../parts/buttons.js'
import { Dialog, dialogs } from '../parts/dialog.js'
import { jsonOf } from '../parts/schema-form.js'

export function openSettle(id: string, path: string, title: string, onDone: () => void): void {
  const close = dialogs.open(() => <Settle id={id} path={path} title={title} onClose={() => close()} onDone={onDone} />)
}

type How = 'succeed' | 'fail' | 'skip'
const HOWS: readonly { readonly how: How; readonly word: string; readonly hint: string }[] = [
  { how: 'succeed', word: 'It succeeded', hint: 'with a value that you give' },
  { how: 'fail', word: 'It failed', hint: 'for a reason that you give' },
  { how: 'skip', word: 'Leave it out', hint: 'a step passes its input on; a branch is skipped' },
]

interface SettleProps {
  readonly id: string
  readonly path: string
  readonly title: string
  readonly onClose: () => void
  readonly onDone: () => void
}

function Settle({ id, path, title, onClose, onDone }: SettleProps): JSX.Element {
  const [how, setHow] = useState<How>('succeed')
  const [text, setText] = useState('')
  const [wrong, setWrong] = useState<string | undefined>(undefined)
  const [isBusy, setBusy] = useState(false)
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    const decided = decisionOf(how, text)
    setWrong('wrong' in decided ? decided.wrong : undefined)
    if ('wrong' in decided) return
    setBusy(true)
    const send = (): Promise<{ readonly changed: boolean }> =>
      post(at`/runs/${id}/settle`, { path, ...decided.decision })
    const answer = await act(send, ({ changed }) =>
      changed ? `Decided: ${title} at ${path}.` : 'Nothing was decided: it has ended, or nobody has come to it.',
    )
    setBusy(false)
    if (answer === undefined) return
    onClose()
    onDone()
  }
  return (
    <Dialog title={`Decide ${title} by hand`} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <p class="soft wrap">
          At <code>{path}</code>. It is recorded as done by hand, and nobody can undo it. What its worker reports later
          is refused.
        </p>
        <fieldset class="settle-hows">
          <legend class="off-screen">What became of it</legend>
          {HOWS.map((one) => (
            <label key={one.how} class="settle-how">
              <input
                type="radio"
                name="how"
                value={one.how}
                checked={how === one.how}
                onChange={() => setHow(one.how)}
              />
              <span>
                {one.word} <span class="small faint">{one.hint}</span>
              </span>
            </label>
          ))}
        </fieldset>
        {how !== 'skip' && (
          <div class="field">
            <label for="settle-text">{how === 'succeed' ? 'Value (JSON)' : 'Reason'}</label>
            <textarea
              id="settle-text"
              class={`area${how === 'fail' ? ' is-prose' : ''}`}
              rows={4}
              spellcheck={how === 'fail'}
              value={text}
              aria-invalid={wrong !== undefined}
              onInput={(event) => setText(event.currentTarget.value)}
            />
            {wrong !== undefined && <span class="wrong">{wrong}</span>}
          </div>
        )}
        <div class="dialog-buttons">
          <Button onClick={onClose}>Not now</Button>
          <Button type="submit" look="danger" isBusy={isBusy} needs="operate">
            Decide
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

/** What the server is sent. */
function decisionOf(how: How, text: string): { readonly decision: object } | { readonly wrong: string } {
  if (how === 'skip') return { decision: { skip: true } }
  if (how === 'fail') return text.trim() === '' ? { wrong: 'say why' } : { decision: { fail: text.trim() } }
  const { value = null, wrong } = jsonOf(text)
  return wrong === undefined ? { decision: { succeed: value } } : { wrong }
}
