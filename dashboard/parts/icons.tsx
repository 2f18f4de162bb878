/** Drawings of 16 × 16, in the colour of the text around them. They say nothing that words beside them do not, so readers of screens pass them over. */
import type { JSX } from 'preact'

const STROKES = {
  overview: 'M2.5 2.5h4.5v5h-4.5zM9 2.5h4.5v3h-4.5zM9 8h4.5v5.5h-4.5zM2.5 10h4.5v3.5h-4.5z',
  runs: 'M3 3.5h1M6.5 3.5h6.5M3 8h1M6.5 8h6.5M3 12.5h1M6.5 12.5h6.5',
  waits: 'M8 2.2a5.8 5.8 0 1 0 0 11.6a5.8 5.8 0 0 0 0-11.6M8 4.8v3.4l2.3 1.5',
  queues: 'M2.5 5l5.5-2.7l5.5 2.7l-5.5 2.7zM2.5 8.2l5.5 2.7l5.5-2.7M2.5 11.2l5.5 2.6l5.5-2.6',
  workers:
    'M4.5 4.5h7v7h-7zM6.5 2v2.5M9.5 2v2.5M6.5 11.5v2.5M9.5 11.5v2.5M2 6.5h2.5M2 9.5h2.5M11.5 6.5h2.5M11.5 9.5h2.5',
  dead: 'M2.5 4h11v8.5h-11zM2.5 4.5l5.5 4.2l5.5-4.2',
  builds: 'M8 1.9l5.3 2.9v6.4l-5.3 2.9l-5.3-2.9v-6.4zM2.9 4.9l5.1 2.9l5.1-2.9M8 7.8v6.1',
  cluster:
    'M8 2.2a1.6 1.6 0 1 0 0 3.2a1.6 1.6 0 0 0 0-3.2M3.6 10.4a1.6 1.6 0 1 0 0 3.2a1.6 1.6 0 0 0 0-3.2M12.4 10.4a1.6 1.6 0 1 0 0 3.2a1.6 1.6 0 0 0 0-3.2M7.1 5.2l-2.7 5.3M8.9 5.2l2.7 5.3M5.3 12h5.4',
  start: 'M8 3v10M3 8h10',
  search: 'M7 2.7a4.3 4.3 0 1 0 0 8.6a4.3 4.3 0 0 0 0-8.6M10.2 10.2l3.3 3.3',
  sun: 'M8 5.2a2.8 2.8 0 1 0 0 5.6a2.8 2.8 0 0 0 0-5.6M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9',
  moon: 'M13 9.6a5.4 5.4 0 0 1-6.6-6.6a5.4 5.4 0 1 0 6.6 6.6z',
  auto: 'M8 2.4a5.6 5.6 0 1 0 0 11.2a5.6 5.6 0 0 0 0-11.2M8 2.4v11.2M10 4v8M12 5.4v5.2',
  menu: 'M2.5 4.5h11M2.5 8h11M2.5 11.5h11',
  close: 'M4 4l8 8M12 4l-8 8',
  copy: 'M5.5 5.5h7.5v7.5h-7.5zM3 10.3v-7.3h7.3',
  check: 'M3 8.5l3.3 3.3l6.7-7.3',
  right: 'M6 3.5l4.5 4.5l-4.5 4.5',
  down: 'M3.5 6l4.5 4.5l4.5-4.5',
  retry: 'M13 8a5 5 0 1 1-1.6-3.7M13 2.3v2.6h-2.6',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  play: 'M5 3.2l7.5 4.8l-7.5 4.8z',
  trash: 'M3 4.5h10M6.2 4.5v-1.7h3.6v1.7M4.2 4.5l.6 8.7h6.4l.6-8.7M6.7 7v3.8M9.3 7v3.8',
  stop: 'M4 4h8v8h-8z',
  leave: 'M6.5 3h-3.5v10h3.5M6.5 8h7M10.5 5l3 3l-3 3',
  warning: 'M8 2.3l6.2 11h-12.4zM8 6.6v3.2M8 11.5v.1',
  person: 'M8 2.5a2.6 2.6 0 1 0 0 5.2a2.6 2.6 0 0 0 0-5.2M3 13.5a5 5 0 0 1 10 0',
  key: 'M5.3 7.4a2.9 2.9 0 1 0 0 5.8a2.9 2.9 0 0 0 0-5.8M7.5 8.2l5.5-5.5M10.6 5.1l1.9 1.9',
  crown: 'M2.5 12.5h11M3 10.5l-.8-6l3.3 2.6l2.5-4.1l2.5 4.1l3.3-2.6l-.8 6z',
} as const

export type IconName = keyof typeof STROKES

export function Icon({ name, size = 16 }: { readonly name: IconName; readonly size?: number }): JSX.Element {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={STROKES[name]} />
    </svg>
  )
}
