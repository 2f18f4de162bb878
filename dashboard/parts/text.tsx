/** Small texts: times that grow older, ids that are copied by a click. */
import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'
import { now } from '../clock.js'
import { age, duration, exactTime, relative, shortId } from '../format.js'
import { useStore } from '../store.js'
import { Icon } from './icons.js'

/** When something was or will be: relative, exact in the title. @param of an ISO date */
export function Time({
  of,
  form = 'relative',
}: {
  readonly of: string | undefined
  readonly form?: 'relative' | 'age'
}): JSX.Element {
  const at = useStore(now)
  if (of === undefined) return <span class="faint">–</span>
  const date = new Date(of)
  const text = form === 'age' ? age(at - date.getTime()) : relative(date.getTime(), Math.max(at, Date.now()))
  return (
    <time dateTime={of} title={exactTime(date)} class="num">
      {text}
    </time>
  )
}

/** How long something took, or takes. */
export function Took({
  from,
  to,
}: {
  readonly from: string | undefined
  readonly to: string | undefined
}): JSX.Element {
  return to === undefined && from !== undefined ? <Running from={from} /> : <Ended from={from} to={to} />
}

function Running({ from }: { readonly from: string }): JSX.Element {
  const ms = useStore(now) - new Date(from).getTime()
  return <span class="num">{duration(ms < 1_000 ? 0 : Math.floor(ms / 1_000) * 1_000)}</span>
}

function Ended({ from, to }: { readonly from: string | undefined; readonly to: string | undefined }): JSX.Element {
  if (from === undefined || to === undefined) return <span class="faint">–</span>
  return <span class="num">{duration(new Date(to).getTime() - new Date(from).getTime())}</span>
}

const COPIED_MS = 1_200

/** Copies a text; where a browser does not let us, it is selected instead. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    area.className = 'off-screen'
    document.body.append(area)
    area.select()
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way on a page that did not come by HTTPS
    const isDone = document.execCommand('copy')
    area.remove()
    return isDone
  }
}

/** A button with a picture that copies a text. */
export function Copy({ text, what }: { readonly text: string; readonly what: string }): JSX.Element {
  const [isCopied, setCopied] = useState(false)
  return (
    <button
      type="button"
      class="icon-button copy"
      title={isCopied ? 'Copied' : `Copy ${what}`}
      aria-label={isCopied ? 'Copied' : `Copy ${what}`}
      onClick={(event) => {
        event.preventDefault()
        event.stopPropagation()
        void copy(text).then((isDone) => {
          if (!isDone) return
          setCopied(true)
          setTimeout(() => setCopied(false), COPIED_MS)
        })
      }}
    >
      <Icon name={isCopied ? 'check' : 'copy'} size={14} />
    </button>
  )
}

/** An id, shortened in the middle, whole in the title; with a link where there is one, and copied by a click. */
export function Id({
  id,
  to,
  most,
  what = 'the id',
}: {
  readonly id: string
  readonly to?: string
  readonly most?: number
  readonly what?: string
}): JSX.Element {
  const text = shortId(id, most)
  return (
    <span class="id" title={id}>
      {to === undefined ? (
        <code>{text}</code>
      ) : (
        <a href={to}>
          <code>{text}</code>
        </a>
      )}
      <Copy text={id} what={what} />
    </span>
  )
}

/** A small label in a frame, such as a tag. */
export function Tag({
  children,
  title,
}: {
  readonly children: ComponentChildren
  readonly title?: string
}): JSX.Element {
  return (
    <span class="tag" title={title}>
      {children}
    </span>
  )
}
