/** States of runs, branches, steps and workers. Each has a colour, a shape and a word, so that none of them has to be seen. */
import type { JSX } from 'preact'

export type Mark = 'waiting' | 'running' | 'succeeded' | 'failed' | 'dead' | 'retrying' | 'paused' | 'cancelled'

/** Which mark a state has; what is unknown looks like what waits. */
const MARKS: Readonly<Record<string, Mark>> = {
  pending: 'waiting',
  waiting: 'waiting',
  ready: 'waiting',
  registering: 'waiting',
  running: 'running',
  open: 'running',
  busy: 'running',
  live: 'succeeded',
  completed: 'succeeded',
  succeeded: 'succeeded',
  released: 'succeeded',
  failed: 'failed',
  dead: 'dead',
  abandoned: 'dead',
  stale: 'failed',
  retrying: 'retrying',
  degraded: 'retrying',
  delayed: 'retrying',
  paused: 'paused',
  draining: 'paused',
  cancelled: 'cancelled',
  skipped: 'cancelled',
  withdrawn: 'cancelled',
  interrupted: 'cancelled',
  stopped: 'cancelled',
}

const markOf = (state: string): Mark => MARKS[state] ?? 'waiting'

/** What stands beside a count where there is no room for a drawing: in a title, in SVG, on a canvas. */
export const SIGNS: Readonly<Record<Mark, string>> = {
  waiting: '○',
  running: '◐',
  succeeded: '●',
  failed: '✕',
  dead: '☠',
  retrying: '↻',
  paused: '‖',
  cancelled: '–',
}

/** Drawn, not written: fonts differ in these signs, and some make pictures of them. In 12 × 12. */
const SHAPES: Readonly<Record<Mark, JSX.Element>> = {
  waiting: <circle cx="6" cy="6" r="4.25" fill="none" stroke="currentColor" stroke-width="1.5" />,
  running: (
    <>
      <circle cx="6" cy="6" r="4.25" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path d="M6 1.75a4.25 4.25 0 0 1 0 8.5z" fill="currentColor" />
    </>
  ),
  succeeded: <circle cx="6" cy="6" r="5" fill="currentColor" />,
  failed: <path d="M2.2 2.2l7.6 7.6M9.8 2.2l-7.6 7.6" stroke="currentColor" stroke-width="2" stroke-linecap="round" />,
  dead: (
    <path
      d="M6 .8a4.6 4.6 0 0 0-2.9 8.2v1.7a.6.6 0 0 0 .6.6h4.6a.6.6 0 0 0 .6-.6v-1.7a4.6 4.6 0 0 0-2.9-8.2zM4.2 4.2a1.15 1.15 0 1 1 0 2.3a1.15 1.15 0 0 1 0-2.3zM7.8 4.2a1.15 1.15 0 1 1 0 2.3a1.15 1.15 0 0 1 0-2.3z"
      fill="currentColor"
      fill-rule="evenodd"
    />
  ),
  retrying: (
    <path
      d="M10 6a4 4 0 1 1-1.3-3M10 .9v2.4h-2.4"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
    />
  ),
  paused: <path d="M3.8 2v8M8.2 2v8" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" />,
  cancelled: <path d="M2.5 6h7" stroke="currentColor" stroke-width="2" stroke-linecap="round" />,
}

/** The shape alone; the word must stand beside it, or is what readers of screens get. */
export function StateShape({ state, label }: { readonly state: string; readonly label?: string }): JSX.Element {
  const mark = markOf(state)
  const said = label === undefined ? { 'aria-hidden': 'true' as const } : { role: 'img' as const, 'aria-label': label }
  return (
    <svg class={`shape is-${mark}`} width="12" height="12" viewBox="0 0 12 12" focusable="false" {...said}>
      {SHAPES[mark]}
    </svg>
  )
}

/** Shape and word. */
export function State({ state, word = state }: { readonly state: string; readonly word?: string }): JSX.Element {
  return (
    <span class={`state is-${markOf(state)}`}>
      <StateShape state={state} />
      <span>{word}</span>
    </span>
  )
}
