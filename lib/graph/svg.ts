/**
 * A graph as a picture that needs nothing else: SVG with its own layout and colours, for light and dark. Hides the layout: sequences go
 * from left to right and break into rows like text, branches are stacked inside a rounded box, and every part is a box with one way in
 * and one way out, so that parts are placed without looking into each other.
 *
 * The file is long because each kind of node has its own measure and its own drawing, which must agree.
 */
import type {
  ChooseNode,
  EachNode,
  Graph,
  GraphNode,
  GroupNode,
  LaterNode,
  LoopNode,
  TaskNode,
  WaitNode,
  WorkflowNode,
} from './graph.js'
import { containerLabel, drawnOf, keyOf, type Label, moreLabel, taskLabel, waitLabel } from './labels.js'
import { type Placed, placedIn, stepsOf } from './locate.js'
import { BEHIND, bend, cardBehind, corner, even, frame } from './svg-shapes.js'
import { NOTE_SIZE, STYLE, TITLE_SIZE } from './svg-style.js'
import { cut, textWidth, wrapNote, xml } from './svg-text.js'

const MARGIN = 20
const STEP_GAP = 36
const ROW_GAP = 40
const ROW_WIDTH = 1_400
const BRANCH_GAP = 14
const FAN = 40
const PAD = 14
const HEADER = 26
const NOTE_LINE = 14
const TITLE_CHARS = 40
const NOTE_CHARS = 30
const HEADER_CHARS = 64

/**
 * A whole SVG document. Every node is a group with its path in `data-path`. Of a group or choice with many branches the first few
 * are drawn, and the others counted. The same graph gives the same picture.
 */
export function toSvg(graph: Graph): string {
  const picture = new Picture(graph)
  const flow = picture.flow()
  const [width, height] = [flow.width + 2 * MARGIN, flow.height + 2 * MARGIN]
  flow.draw(MARGIN, MARGIN)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="graflow" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="flow">`,
    `<style>${STYLE}</style>`,
    '<defs><marker id="graflow-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path class="tip" d="M0 0.5 8 4 0 7.5z"/></marker></defs>',
    `<rect class="paper" width="${width}" height="${height}"/>`,
    ...picture.parts,
    '</svg>\n',
  ].join('\n')
}

/** A part of the picture, not placed yet. Edges come in at the left edge, `entryY` from its top, and leave at the exit. */
interface Box {
  readonly width: number
  readonly height: number
  readonly entryY: number
  /** From its top to the top of the first thing that the edge meets. */
  readonly entryTop: number
  readonly exitX: number
  readonly exitY: number
  /** Draws it with its top left corner there. */
  readonly draw: (x: number, y: number) => void
}
type Container = GroupNode | EachNode | LoopNode | WorkflowNode | LaterNode

class Picture {
  /** The elements, in the order of painting. */
  readonly parts: string[] = []
  readonly #graph: Graph

  constructor(graph: Graph) {
    this.#graph = graph
  }

  /** The whole of it. */
  flow(): Box {
    return this.#chain(
      stepsOf(this.#graph).map((node, index) => [String(index), node] as const),
      false,
    )
  }

  /** Steps from left to right, in rows. What leads into the first row is left out where nothing comes before. */
  #chain(steps: readonly Placed[], hasBefore = true): Box {
    const rows = intoRows(steps.map(([path, node]) => this.#node(path, node)))
    const [only] = rows
    if (only !== undefined && rows.length === 1) return this.#row(only)
    return this.#rows(
      rows.map((row) => this.#row(row)),
      hasBefore,
    )
  }

  #node(path: string, node: GraphNode): Box {
    switch (node.kind) {
      case 'task':
        return this.#task(path, node)
      case 'sequence':
        return this.#chain(placedIn([path, node]))
      case 'group':
        return this.#container(path, node, this.#branches(path, node))
      case 'wait':
        return this.#wait(path, node)
      case 'each':
      case 'workflow':
      case 'later':
        return this.#container(path, node, this.#inside(this.#chain(placedIn([path, node]))))
      case 'loop':
        return this.#container(path, node, this.#passes(this.#chain(placedIn([path, node]))))
      case 'choose':
        return this.#choice(path, node)
    }
  }

  #task(path: string, node: TaskNode): Box {
    return this.#labelled(
      path,
      'task',
      taskLabel(this.#graph, node),
      (x, y, width, height) => `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="7"/>`,
    )
  }

  /** With round ends: nothing runs there. */
  #wait(path: string, node: WaitNode): Box {
    return this.#labelled(
      path,
      'wait',
      waitLabel(node),
      (x, y, width, height) => `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="${height / 2}"/>`,
      6,
    )
  }

  #labelled(
    path: string,
    kind: string,
    label: Label,
    shape: (x: number, y: number, width: number, height: number) => string,
    slope = 0,
  ): Box {
    const title = cut(label.title, TITLE_CHARS)
    const notes = wrapNote(label.note, NOTE_CHARS)
    const textual = Math.max(textWidth(title, TITLE_SIZE), ...notes.map((line) => textWidth(line, NOTE_SIZE)))
    const width = even(Math.max(60, textual + 2 * PAD + 2 * slope))
    const height = 34 + notes.length * NOTE_LINE
    return solid(width, height, (x, y) => {
      const middle = x + width / 2
      this.parts.push(
        `<g class="${kind}" data-path="${xml(path)}"><title>${xml([label.title, label.note].filter(Boolean).join('\n'))}</title>`,
        shape(x, y, width, height),
        `<text x="${middle}" y="${y + 22}" text-anchor="middle">${xml(title)}</text>`,
        ...notes.map(
          (line, index) =>
            `<text class="note" x="${middle}" y="${y + 22 + (index + 1) * NOTE_LINE}" text-anchor="middle">${xml(line)}</text>`,
        ),
        '</g>',
      )
    })
  }

  #row(boxes: readonly Box[], gap: number = STEP_GAP): Box {
    const axis = Math.max(...boxes.map((box) => box.entryY))
    const height = axis + Math.max(...boxes.map((box) => box.height - box.entryY))
    const width = boxes.reduce((sum, box) => sum + box.width, (boxes.length - 1) * gap)
    const [first, last] = [boxes[0] as Box, boxes.at(-1) as Box]
    return {
      width,
      height,
      entryY: axis,
      entryTop: axis - first.entryY + first.entryTop,
      exitX: width - last.width + last.exitX,
      exitY: axis - last.entryY + last.exitY,
      draw: (x, y) => {
        let left = x
        boxes.forEach((box, index) => {
          const top = y + axis - box.entryY
          const next = boxes[index + 1]
          if (next !== undefined) this.#edge(left + box.exitX, top + box.exitY, left + box.width + gap, y + axis, true)
          box.draw(left, top)
          left += box.width + gap
        })
      },
    }
  }

  /** Rows one below the other, an edge going back from the end of each to the start of the next. */
  #rows(rows: readonly Box[], hasBefore: boolean): Box {
    const turn = STEP_GAP / 2
    const width = Math.max(...rows.map((row) => row.width)) + 2 * turn
    const tops: number[] = []
    let height = 0
    for (const row of rows) {
      tops.push(height)
      height += row.height + ROW_GAP
    }
    height -= ROW_GAP
    const [first, last] = [rows[0] as Box, rows.at(-1) as Box]
    return {
      width,
      height,
      entryY: first.entryY,
      entryTop: first.entryTop,
      exitX: turn + last.exitX,
      exitY: height - last.height + last.exitY,
      draw: (x, y) => {
        if (hasBefore) this.#edge(x, y + first.entryY, x + turn, y + first.entryY, false)
        rows.forEach((row, index) => {
          const top = y + (tops[index] as number)
          const next = rows[index + 1]
          if (next !== undefined) {
            const between = top + row.height + ROW_GAP / 2
            const [fromX, fromY] = [x + turn + row.exitX, top + row.exitY]
            const toY = y + (tops[index + 1] as number) + next.entryY
            this.#path(
              `M${fromX} ${fromY}${corner(turn, fromY, between)}H${x + 8}${corner(-8, between, toY)}H${x + turn}`,
              'edge',
              true,
            )
          }
          row.draw(x + turn, top)
        })
      },
    }
  }

  /** Branches one below the other, with a fan of edges from the left and to the right. */
  #branches(path: string, node: GroupNode): Box {
    const { drawn, counted } = drawnOf(node.branches.length)
    const branches = placedIn([path, node]).slice(0, drawn)
    const boxes = branches.map((placed, index) => this.#keyed(keyOf(node, index), this.#chain([placed])))
    if (counted > 0) boxes.push(this.#more(counted))
    return this.#fan(boxes)
  }

  #fan(boxes: readonly Box[]): Box {
    const inner = Math.max(...boxes.map((box) => box.width))
    const width = inner + 2 * FAN
    const height = boxes.reduce((sum, box) => sum + box.height, (boxes.length - 1) * BRANCH_GAP)
    return solid(width, height, (x, y) => {
      let top = y
      for (const box of boxes) {
        const left = x + FAN + Math.floor((inner - box.width) / 2)
        const [inY, outY, axis] = [top + box.entryY, top + box.exitY, y + height / 2]
        // each branch keeps to its own height between the fans, so that no edge crosses another branch
        this.#path(`M${x} ${axis}${bend(FAN - 10, inY - axis)}H${left}`, 'edge', true)
        this.#path(`M${left + box.exitX} ${outY}H${x + width - FAN}${bend(FAN, axis - outY)}`, 'edge', false)
        box.draw(left, top)
        top += box.height + BRANCH_GAP
      }
    })
  }

  /** A box with the key of its branch above its first node. */
  #keyed(key: string | undefined, box: Box): Box {
    if (key === undefined) return box
    const text = cut(key, TITLE_CHARS)
    const width = even(Math.max(box.width, textWidth(text, NOTE_SIZE)))
    const above = Math.max(0, NOTE_LINE + 2 - box.entryTop)
    return {
      width,
      height: box.height + above,
      entryY: box.entryY + above,
      entryTop: box.entryTop + above - NOTE_LINE - 2,
      exitX: box.exitX,
      exitY: box.exitY + above,
      draw: (x, y) => {
        this.parts.push(`<text class="key" x="${x + 1}" y="${y + above + box.entryTop - 5}">${xml(text)}</text>`)
        box.draw(x, y + above)
      },
    }
  }

  #more(count: number): Box {
    const text = moreLabel(count)
    const width = even(textWidth(text, NOTE_SIZE) + 2 * PAD)
    return solid(width, 26, (x, y) => {
      this.parts.push(
        `<g class="more"><rect x="${x}" y="${y}" width="${width}" height="26" rx="13"/><text class="note" x="${x + width / 2}" y="${y + 17}" text-anchor="middle">${xml(text)}</text></g>`,
      )
    })
  }

  /** What is in a container, with a short edge in and one out. */
  #inside(box: Box): Box {
    const width = box.width + 2 * STEP_GAP
    return {
      ...solid(width, box.height, (x, y) => {
        this.#edge(x, y + box.entryY, x + STEP_GAP, y + box.entryY, true)
        this.#edge(x + STEP_GAP + box.exitX, y + box.exitY, x + width, y + box.exitY, false)
        box.draw(x + STEP_GAP, y)
      }),
      entryY: box.entryY,
      exitY: box.exitY,
    }
  }

  /** The same with a dotted edge from the end back to the start, below. */
  #passes(box: Box): Box {
    const inside = this.#inside(box)
    return {
      ...inside,
      height: inside.height + 24,
      draw: (x, y) => {
        const [startX, endX, low] = [x + STEP_GAP, x + STEP_GAP + box.exitX, y + inside.height + 10]
        const back = `M${endX} ${y + box.exitY}${corner(14, y + box.exitY, low)}H${startX - 14}${corner(-8, low, y + box.entryY)}H${startX}`
        this.#path(back, 'edge back', true)
        this.parts.push(
          `<text class="note" x="${Math.round((startX + endX) / 2)}" y="${low + 12}" text-anchor="middle">again</text>`,
        )
        inside.draw(x, y)
      },
    }
  }

  #choice(path: string, node: ChooseNode): Box {
    const [[decisionPath, decide], ...cases] = placedIn([path, node]) as [Placed, ...Placed[]]
    const { drawn, counted } = drawnOf(cases.length)
    const boxes = cases
      .slice(0, drawn)
      .map((placed, index) => this.#keyed(node.cases[index]?.[0], this.#chain([placed])))
    if (counted > 0) boxes.push(this.#more(counted))
    const fan = this.#fan(boxes)
    if (decide.kind === 'task') return this.#row([this.#decision(decisionPath, taskLabel(this.#graph, decide)), fan], 0)
    return this.#row([
      this.#chain([[decisionPath, decide]]),
      this.#row([this.#decision(path, { title: '?', note: '' }), fan], 0),
    ])
  }

  #decision(path: string, label: Label): Box {
    const point = 12
    return this.#labelled(
      path,
      'decision',
      label,
      (x, y, width, height) => {
        const [right, bottom, middle] = [x + width, y + height, y + height / 2]
        return `<path d="M${x} ${middle}L${x + point} ${y}H${right - point}L${right} ${middle}L${right - point} ${bottom}H${x + point}z"/>`
      },
      6,
    )
  }

  #container(path: string, node: Container, content: Box): Box {
    const { title, note } = containerLabel(node)
    const head = cut(title, TITLE_CHARS)
    const said = cut(note, HEADER_CHARS)
    const headWidth = head === '' ? 0 : textWidth(head, TITLE_SIZE) + 10
    const width = even(Math.max(content.width, headWidth + textWidth(said, NOTE_SIZE) + 2 * PAD))
    const height = HEADER + content.height + PAD
    const outer = node.kind === 'each' ? BEHIND : 0
    // what is wider than its content stretches the edges at both sides
    const left = Math.floor((width - content.width) / 2)
    const [entryY, exitY] = [HEADER + content.entryY, HEADER + content.exitY]
    const description = node.kind === 'workflow' ? node.options.description : undefined
    return {
      width: width + outer,
      height: height + outer,
      entryY,
      entryTop: 0,
      exitX: width,
      exitY,
      draw: (x, y) => {
        this.parts.push(
          `<g class="${node.kind}" data-path="${xml(path)}"><title>${xml([title, note, description].filter(Boolean).join('\n'))}</title>`,
          ...(node.kind === 'each' ? [cardBehind(x, y, width, height)] : []),
          frame(x, y, width, height),
          ...(head === '' ? [] : [`<text class="name" x="${x + PAD}" y="${y + 18}">${xml(head)}</text>`]),
          `<text class="note" x="${x + PAD + headWidth}" y="${y + 18}">${xml(said)}</text>`,
        )
        if (left > 0) {
          this.#edge(x, y + entryY, x + left, y + entryY, false)
          this.#edge(x + left + content.exitX, y + exitY, x + width, y + exitY, false)
        }
        content.draw(x + left, y + HEADER)
        this.parts.push('</g>')
      },
    }
  }

  #edge(x1: number, y1: number, x2: number, y2: number, isArrow: boolean): void {
    if (x1 === x2 && y1 === y2) return
    const middle = (x1 + x2) / 2
    this.#path(
      y1 === y2 ? `M${x1} ${y1}H${x2}` : `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`,
      'edge',
      isArrow,
    )
  }

  #path(d: string, kind: string, isArrow: boolean): void {
    this.parts.push(`<path class="${kind}" d="${d}"${isArrow ? ' marker-end="url(#graflow-arrow)"' : ''}/>`)
  }
}

function solid(width: number, height: number, draw: Box['draw']): Box {
  return { width, height, entryY: height / 2, entryTop: 0, exitX: width, exitY: height / 2, draw }
}

function intoRows(boxes: readonly Box[]): readonly (readonly Box[])[] {
  const rows: Box[][] = []
  let width = Number.POSITIVE_INFINITY
  for (const box of boxes) {
    if (width + STEP_GAP + box.width > ROW_WIDTH) {
      rows.push([])
      width = -STEP_GAP
    }
    rows.at(-1)?.push(box)
    width += STEP_GAP + box.width
  }
  return rows
}
