/**
 * Tables. Of many rows only those in view are drawn, so 10 000 scroll like 10. Columns that find no room are left out, the least needed first; on a
 * phone a row is a small card. `j` and `k` move from row to row, Enter opens, `x` selects, Shift selects up to there.
 */
import type { ComponentChildren, JSX, VNode } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { useShortcuts } from '../shortcuts.js'

export interface Column<T> {
  readonly key: string
  readonly title: string
  /** A track of a grid, such as `96px` or `minmax(120px, 1fr)`. */
  readonly track: string
  /** Pixels that it needs at least. */
  readonly min: number
  /** 0 stays always; of the others the highest is left out first. Default: 0. */
  readonly rank?: number
  readonly isEnd?: boolean
  readonly cell: (row: T) => ComponentChildren
}

export interface Selection {
  readonly keys: ReadonlySet<string>
  readonly set: (keys: ReadonlySet<string>) => void
}

export interface TableProps<T> {
  readonly label: string
  readonly columns: readonly Column<T>[]
  readonly rows: readonly T[]
  readonly keyOf: (row: T) => string
  /** What readers of screens call a row. */
  readonly nameOf?: (row: T) => string
  /** A row on a phone. */
  readonly card: (row: T) => ComponentChildren
  readonly cardHeight?: number
  readonly rowHeight?: number
  readonly selection?: Selection
  /** How a row stands out, such as `is-gone`. */
  readonly lookOf?: (row: T) => string
  /** Called when the last rows come into view. */
  readonly onEnd?: () => void
  /** Called with the rows in view. */
  readonly onView?: (from: number, to: number) => void
  /** Below the last row. */
  readonly foot?: ComponentChildren
  /** What else the cells depend on: when it changes, all are drawn anew. */
  readonly version?: unknown
}

const CARDS_BELOW = 640
const SELECT_TRACK = 36
const GAP = 16
const EDGE = 32
const OVERSCAN = 8
const DRAWN_IN_STEPS_OF = 4
const END_AHEAD = 30

function fitting<T>(columns: readonly Column<T>[], width: number): readonly Column<T>[] {
  let shown = columns
  const needed = (): number => shown.reduce((sum, { min }) => sum + min + GAP, EDGE)
  while (needed() > width) {
    const worst = Math.max(...shown.map(({ rank = 0 }) => rank))
    if (worst === 0) break
    const last = shown.findLastIndex(({ rank = 0 }) => rank === worst)
    shown = shown.filter((_, i) => i !== last)
  }
  return shown
}

/** Which rows are in view, of rows of one height below `element`, within the scrolling part of the page. */
function useWindow(
  element: { readonly current: HTMLElement | null },
  rows: number,
  height: number,
): readonly [from: number, to: number] {
  const [range, setRange] = useState<readonly [number, number]>([0, Math.min(rows, 60)])
  useLayoutEffect(() => {
    const main = document.getElementById('main')
    if (main === null) return
    let frame = 0
    const look = (): void => {
      frame = 0
      const body = element.current
      if (body === null) return
      const above = main.getBoundingClientRect().top - body.getBoundingClientRect().top
      const snap = (row: number): number => Math.floor(row / DRAWN_IN_STEPS_OF) * DRAWN_IN_STEPS_OF
      const from = Math.max(0, snap(above / height - OVERSCAN))
      const to = Math.min(rows, snap((above + main.clientHeight) / height + OVERSCAN) + DRAWN_IN_STEPS_OF)
      setRange((before) => (before[0] === from && before[1] === to ? before : [from, Math.max(from, to)]))
    }
    const soon = (): void => {
      if (frame === 0) frame = requestAnimationFrame(look)
    }
    look()
    main.addEventListener('scroll', soon, { passive: true })
    addEventListener('resize', soon)
    return () => {
      cancelAnimationFrame(frame)
      main.removeEventListener('scroll', soon)
      removeEventListener('resize', soon)
    }
  }, [rows, height])
  return [Math.min(range[0], rows), Math.min(range[1], rows)]
}

function useWidth(element: { readonly current: HTMLElement | null }): number {
  const [width, setWidth] = useState(() => innerWidth - 260)
  useLayoutEffect(() => {
    const box = element.current
    if (box === null) return
    setWidth(box.clientWidth)
    const watcher = new ResizeObserver(() => setWidth(box.clientWidth))
    watcher.observe(box)
    return () => watcher.disconnect()
  }, [])
  return width
}

/** Whoever comes from a row by key wants the next one; from elsewhere the first. */
function useRowKeys(
  table: { readonly current: HTMLElement | null },
  count: number,
  height: number,
  toggle: ((row: number, isRange: boolean) => void) | undefined,
): void {
  const at = (): number => {
    const row = document.activeElement?.closest('[data-row]')
    return row instanceof HTMLElement && table.current?.contains(row) === true ? Number(row.dataset['row']) : -1
  }
  const focus = (row: number): boolean => {
    const found = table.current?.querySelector(`[data-row="${row}"]`)
    const target =
      found?.querySelector<HTMLElement>('a[href], button.row-open') ?? (found instanceof HTMLElement ? found : null)
    target?.focus({ preventScroll: true })
    found?.scrollIntoView({ block: 'nearest' })
    return target !== null
  }
  /** Of a row that has the focus itself, or in one of its boxes; a link that has it opens by itself. */
  const open = (): void =>
    document.activeElement?.closest('[data-row]')?.querySelector<HTMLElement>('a[href], button.row-open')?.click()
  const move = (by: number): void => {
    const row = Math.min(count - 1, Math.max(0, at() + by))
    if (count === 0 || focus(row)) return
    // it is not drawn yet: bring it into view first
    const main = document.getElementById('main')
    const body = table.current?.querySelector('.table-body')
    if (main === null || body === null || body === undefined) return
    main.scrollTop +=
      body.getBoundingClientRect().top - main.getBoundingClientRect().top + row * height - main.clientHeight / 2
    requestAnimationFrame(() => requestAnimationFrame(() => focus(row)))
  }
  useShortcuts([
    { keys: 'j', does: 'Next row', run: () => move(1) },
    { keys: 'k', does: 'Row before', run: () => move(-1) },
    { keys: 'Enter', does: 'Open the row', run: () => (at() < 0 ? move(1) : open()) },
    ...(toggle === undefined
      ? []
      : [
          { keys: 'x', does: 'Select the row', run: () => at() >= 0 && toggle(at(), false) },
          { keys: 'X', does: 'Select up to the row', run: () => at() >= 0 && toggle(at(), true) },
        ]),
  ])
}

interface RowProps<T> {
  readonly row: T
  readonly index: number
  readonly name: string
  readonly columns: readonly Column<T>[]
  readonly card: ((row: T) => ComponentChildren) | undefined
  readonly height: number
  readonly look: string
  readonly isSelected: boolean | undefined
  readonly onSelect: (index: number, isRange: boolean) => void
}

function Row<T>({ row, index, name, columns, card, height, look, isSelected, onSelect }: RowProps<T>): JSX.Element {
  return (
    <div
      class={`row ${look}${isSelected === true ? ' is-selected' : ''}`}
      role="row"
      aria-rowindex={index + 2}
      data-row={index}
      tabIndex={-1}
      style={{ height: `${height}px`, top: `${index * height}px` }}
    >
      {isSelected !== undefined && (
        <div class="cell is-select" role="cell">
          <label class="check">
            <input
              type="checkbox"
              checked={isSelected}
              aria-label={`Select ${name}`}
              onClick={(event) => onSelect(index, event.shiftKey)}
            />
          </label>
        </div>
      )}
      {card === undefined ? (
        columns.map(({ key, isEnd = false, cell }) => (
          <div key={key} class={`cell${isEnd ? ' is-end' : ''}`} role="cell">
            {cell(row)}
          </div>
        ))
      ) : (
        <div class="cell is-card" role="cell">
          {card(row)}
        </div>
      )}
    </div>
  )
}

export function Table<T>(props: TableProps<T>): JSX.Element {
  const {
    label,
    rows,
    keyOf,
    nameOf = keyOf,
    card,
    cardHeight = 64,
    rowHeight = 36,
    selection,
    lookOf,
    onEnd,
    onView,
    foot,
    version,
  } = props
  const table = useRef<HTMLDivElement>(null)
  const body = useRef<HTMLDivElement>(null)
  const width = useWidth(table)
  const isCards = width < CARDS_BELOW
  const columns = isCards ? props.columns : fitting(props.columns, width - (selection === undefined ? 0 : SELECT_TRACK))
  const height = isCards ? cardHeight : rowHeight
  const [from, to] = useWindow(body, rows.length, height)

  const anchor = useRef(-1)
  const held = useRef({ rows, selection, keyOf })
  held.current = { rows, selection, keyOf }
  const select = useRef((index: number, isRange: boolean): void => {
    const { rows, selection, keyOf } = held.current
    const row = rows[index]
    if (selection === undefined || row === undefined) return
    const keys = new Set(selection.keys)
    const isOn = !keys.has(keyOf(row))
    const start = isRange && anchor.current >= 0 ? anchor.current : index
    for (const one of rows.slice(Math.min(start, index), Math.max(start, index) + 1)) {
      if (isOn) keys.add(keyOf(one))
      else keys.delete(keyOf(one))
    }
    anchor.current = index
    selection.set(keys)
  })
  useRowKeys(table, rows.length, height, selection === undefined ? undefined : select.current)

  useEffect(() => {
    onView?.(from, to)
    if (rows.length > 0 && to >= rows.length - END_AHEAD) onEnd?.()
  }, [from, to, rows.length])

  // rows that have not changed are not drawn anew: their drawing of before is handed on
  const drawn = useRef(new Map<string, { readonly of: readonly unknown[]; readonly node: VNode }>())
  const next = new Map<string, { readonly of: readonly unknown[]; readonly node: VNode }>()
  const layout = `${columns.map(({ key }) => key).join()} ${isCards}`
  const nodes = rows.slice(from, to).map((row, i) => {
    const index = from + i
    const key = keyOf(row)
    const isSelected = selection === undefined ? undefined : selection.keys.has(key)
    const look = lookOf?.(row) ?? ''
    const of = [row, index, layout, look, isSelected, height, version]
    const before = drawn.current.get(key)
    const node =
      before !== undefined && before.of.every((value, n) => Object.is(value, of[n])) ? (
        before.node
      ) : (
        <Row
          key={key}
          {...{ row, index, columns, height, look, isSelected }}
          name={nameOf(row)}
          card={isCards ? card : undefined}
          onSelect={select.current}
        />
      )
    next.set(key, { of, node })
    return node
  })
  drawn.current = next

  const tracks = [
    ...(selection === undefined ? [] : [`${SELECT_TRACK - GAP}px`]),
    ...(isCards ? ['minmax(0, 1fr)'] : columns.map(({ track }) => track)),
  ]
  return (
    <div
      class={`table${isCards ? ' is-cards' : ''}`}
      role="table"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      ref={table}
      style={{ '--tracks': tracks.join(' ') }}
    >
      <div class="table-head" role="rowgroup">
        <div class="row" role="row" aria-rowindex={1}>
          {selection !== undefined && (
            <div class="cell is-select" role="columnheader">
              <SelectAll rows={rows} keyOf={keyOf} selection={selection} />
            </div>
          )}
          {isCards ? (
            <div class="cell" role="columnheader">
              {label}
            </div>
          ) : (
            columns.map(({ key, title, isEnd = false }) => (
              <div key={key} class={`cell${isEnd ? ' is-end' : ''}`} role="columnheader">
                {title === '' ? <span class="off-screen">Commands</span> : title}
              </div>
            ))
          )}
        </div>
      </div>
      <div class="table-body" role="rowgroup" ref={body} style={{ height: `${rows.length * height}px` }}>
        {nodes}
      </div>
      {foot}
    </div>
  )
}

function SelectAll<T>({
  rows,
  keyOf,
  selection,
}: {
  readonly rows: readonly T[]
  readonly keyOf: (row: T) => string
  readonly selection: Selection
}): JSX.Element {
  const box = useRef<HTMLInputElement>(null)
  // of ten thousand rows, not at each step of a scroll
  const chosen = selection.keys.size === 0 ? 0 : rows.filter((row) => selection.keys.has(keyOf(row))).length
  const isAll = rows.length > 0 && chosen === rows.length
  useEffect(() => {
    if (box.current !== null) box.current.indeterminate = chosen > 0 && !isAll
  }, [chosen, isAll])
  return (
    <label class="check">
      <input
        ref={box}
        type="checkbox"
        checked={isAll}
        aria-label="Select all that are loaded"
        onClick={() => selection.set(new Set(isAll ? [] : rows.map(keyOf)))}
      />
    </label>
  )
}
