/** Small pictures of numbers. Each says in words what it shows. */
import type { JSX } from 'preact'
import { count, doneOf } from '../format.js'
import { type Mark, SIGNS } from './state.js'

/** A line of values over time, the newest at the right. @param values undefined where nothing is known */
export function Spark({
  values,
  label,
  mark,
  height = 40,
}: {
  readonly values: readonly (number | undefined)[]
  readonly label: string
  readonly mark?: Mark
  readonly height?: number
}): JSX.Element {
  const width = 240
  const top = Math.max(1, ...values.map((value) => value ?? 0))
  const x = (i: number): number => (values.length < 2 ? 0 : (i / (values.length - 1)) * width)
  const y = (value: number): number => height - 1.5 - (value / top) * (height - 5)
  const parts: string[] = []
  const areas: string[] = []
  let run: string[] = []
  let start = 0
  const close = (end: number): void => {
    if (run.length === 0) return
    parts.push(`M${run.join('L')}`)
    areas.push(`M${x(start).toFixed(1)} ${height}L${run.join('L')}L${x(end).toFixed(1)} ${height}Z`)
    run = []
  }
  values.forEach((value, i) => {
    if (value === undefined) {
      close(i - 1)
      return
    }
    if (run.length === 0) start = i
    run.push(`${x(i).toFixed(1)} ${y(value).toFixed(1)}`)
  })
  close(values.length - 1)
  return (
    <svg
      class={`spark${mark === undefined ? '' : ` is-${mark}`}`}
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <path class="spark-ground" d={`M0 ${height - 0.5}H${width}`} />
      <path class="spark-area" d={areas.join('')} />
      <path class="spark-line" d={parts.join('')} />
    </svg>
  )
}

export interface Part {
  readonly mark: Mark
  readonly value: number
  readonly word: string
}

/** Parts of a whole, side by side. @param of what the full length is; else the sum */
export function Bar({
  parts,
  of,
  label,
}: {
  readonly parts: readonly Part[]
  readonly of?: number
  readonly label?: string
}): JSX.Element {
  const sum = parts.reduce((total, { value }) => total + value, 0)
  const whole = Math.max(of ?? sum, sum, 1)
  const said = parts.filter(({ value }) => value > 0).map(({ value, word }) => `${count(value)} ${word}`)
  const text = said.length === 0 ? 'nothing' : said.join(', ')
  return (
    <span class="bar" role="img" aria-label={label === undefined ? text : `${label}: ${text}`} title={text}>
      {parts
        .filter(({ value }) => value > 0)
        .map(({ mark, value, word }) => (
          <i key={word} class={`is-${mark}`} style={{ width: `${(value / whole) * 100}%` }} />
        ))}
    </span>
  )
}

/**
 * How much of something that is not over is done, by outcome, with the number beside it. What comes next is counted once it begins, so all that is known may be over: then a
 * part is left open for it.
 */
export function Progress({
  done,
  failed,
  total,
}: {
  readonly done: number
  /** Of what is done. */
  readonly failed: number
  readonly total: number
}): JSX.Element {
  return (
    <span class="progress">
      <Bar
        parts={[
          { mark: 'succeeded', value: Math.max(0, done - failed), word: 'done' },
          { mark: 'failed', value: failed, word: 'failed' },
        ]}
        of={Math.max(total, done + 1)}
        label={doneOf(done, total, false)}
      />
      <span class="num soft">{done < total ? `${count(done)}/${count(total)}` : `${count(done)} so far`}</span>
    </span>
  )
}

/** A count with the shape of what it counts; nothing where it is 0. */
export function Counted({ mark, value, word }: Part): JSX.Element | null {
  if (value === 0) return null
  return (
    <span class={`counted is-${mark}`} title={`${count(value)} ${word}`}>
      {count(value)} <span aria-hidden="true">{SIGNS[mark]}</span>
      <span class="off-screen"> {word}</span>
    </span>
  )
}
