/** Buttons, and what they ask before they do something. A key that may only read sees them, and is told why they do nothing. */
import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'
import { may, me, type Scope } from '../session.js'
import { useStore } from '../store.js'
import { asApiError } from '../use-query.js'
import { Dialog, dialogs } from './dialog.js'
import { Icon, type IconName } from './icons.js'
import { toast } from './toasts.js'

export type Look = 'plain' | 'primary' | 'danger' | 'quiet'

export interface ButtonProps {
  readonly children?: ComponentChildren
  readonly onClick?: (event: MouseEvent) => void
  readonly look?: Look
  readonly icon?: IconName
  readonly title?: string
  readonly type?: 'button' | 'submit'
  readonly isDisabled?: boolean
  readonly isBusy?: boolean
  /** Of a button that switches something on and off. */
  readonly isPressed?: boolean
  /** The least scope of a key that may do this. */
  readonly needs?: Scope
  /** What readers of screens get where there is a picture only. */
  readonly label?: string
}

/** Why a key of this scope may not do what needs another. */
const refusal = (needs: Scope): string => `Your key may not do this: it needs the scope ${needs}.`

export function Button(props: ButtonProps): JSX.Element {
  const {
    children,
    onClick,
    look = 'plain',
    icon,
    type = 'button',
    isDisabled = false,
    isBusy = false,
    isPressed,
    needs,
    label,
  } = props
  const who = useStore(me)
  const isRefused = needs !== undefined && !may(who, needs)
  const title = isRefused ? refusal(needs) : props.title
  return (
    <button
      type={type}
      class={`button is-${look}${children === undefined ? ' is-square' : ''}`}
      disabled={isDisabled || isRefused || isBusy}
      aria-busy={isBusy}
      aria-pressed={isPressed}
      title={title}
      aria-label={label}
      onClick={onClick}
    >
      {icon !== undefined && <Icon name={icon} size={14} />}
      {children !== undefined && <span>{children}</span>}
    </button>
  )
}

export interface ActProps<T> extends Omit<ButtonProps, 'onClick' | 'isBusy' | 'type'> {
  readonly run: () => Promise<T>
  /** What is said once it is done; undefined says nothing. */
  readonly done?: (answer: T) => string | undefined
  /** Asked first. */
  readonly ask?: Question
  /** Called once it is done. */
  readonly onDone?: (answer: T) => void
}

/** A button that calls the server: busy meanwhile, and its end is told. */
export function ActButton<T>({ run, done, ask: question, onDone, ...props }: ActProps<T>): JSX.Element {
  const [isBusy, setBusy] = useState(false)
  const click = async (): Promise<void> => {
    if (question !== undefined && !(await ask(question))) return
    setBusy(true)
    await act(run, done, onDone)
    setBusy(false)
  }
  return <Button {...props} isBusy={isBusy} onClick={() => void click()} />
}

/** Calls the server and tells the end; undefined where it failed. */
export async function act<T>(
  run: () => Promise<T>,
  done?: (answer: T) => string | undefined,
  onDone?: (answer: T) => void,
): Promise<T | undefined> {
  try {
    const answer = await run()
    const text = done?.(answer)
    if (text !== undefined) toast({ kind: 'done', text })
    onDone?.(answer)
    return answer
  } catch (error) {
    const { message, code } = asApiError(error)
    toast({ kind: 'failed', text: message, code })
    return undefined
  }
}

export interface Question {
  readonly title: string
  readonly text?: ComponentChildren
  /** The word on the button that does it. */
  readonly action: string
  readonly isDangerous?: boolean
}

/** Asks once, in a dialog that has the focus; false where one turns away. */
export function ask(question: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const close = dialogs.open(() => (
      <Asking
        question={question}
        onAnswer={(isMeant) => {
          close()
          resolve(isMeant)
        }}
      />
    ))
  })
}

function Asking({
  question,
  onAnswer,
}: {
  readonly question: Question
  readonly onAnswer: (isMeant: boolean) => void
}): JSX.Element {
  const { title, text, action, isDangerous = false } = question
  return (
    <Dialog title={title} onClose={() => onAnswer(false)}>
      {text !== undefined && <div class="dialog-text">{text}</div>}
      <div class="dialog-buttons">
        <Button onClick={() => onAnswer(false)}>Not now</Button>
        <Button look={isDangerous ? 'danger' : 'primary'} onClick={() => onAnswer(true)}>
          {action}
        </Button>
      </div>
    </Dialog>
  )
}
