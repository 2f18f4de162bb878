/**
 * Run as a process of its own by drawings.ts: reads drawings with the parsers they are made for. Mermaid's is ESM only and wants a
 * document. Standard input: `{ mermaid: string[], svg: string[], diagrams: string[] }`; standard output: `Drawings`.
 */
import { readFileSync } from 'node:fs'
import { JSDOM } from 'jsdom'

const { window } = new JSDOM('')
Object.assign(globalThis, { window, document: window.document })

/** Mermaid keeps entities under marks of its own until it draws. */
const decoded = (text) =>
  text
    .replace(/ﬂ°°(\d+)¶ß/g, (_, code) => String.fromCodePoint(Number(code)))
    .replaceAll('<br/>', '\n')
    .replaceAll('<br>', '\n')

async function readFlowchart(text) {
  try {
    await mermaid.parse(text)
    const { db } = await mermaid.mermaidAPI.getDiagramFromText(text)
    const containers = db.getSubGraphs()
    const vertices = [...db.getVertices().values()].filter(
      ({ id }) => !containers.some((container) => container.id === id),
    )
    return {
      boxes: Object.fromEntries(vertices.map(({ id, text: label }) => [id, decoded(label ?? '')])),
      shapes: Object.fromEntries(vertices.map(({ id, type }) => [id, type ?? ''])),
      edges: db
        .getEdges()
        .map(({ start, end, text: label }) => `${start} → ${end}${label === '' ? '' : ` ${decoded(label)}`}`),
      containers: Object.fromEntries(
        containers.map(({ id, title, nodes }) => [id, { label: decoded(title), holds: [...nodes].sort() }]),
      ),
    }
  } catch (error) {
    return { error: String(error), boxes: {}, shapes: {}, edges: [], containers: {} }
  }
}

async function faultOf(text) {
  try {
    await mermaid.parse(text)
    return ''
  } catch (error) {
    return String(error)
  }
}

function readPicture(text) {
  const document = new window.DOMParser().parseFromString(text, 'image/svg+xml')
  const failed = document.querySelector('parsererror')
  if (failed !== null) return { error: failed.textContent, width: 0, height: 0, rectangles: [], texts: [] }
  const root = document.documentElement
  const rectangles = [...document.querySelectorAll('[data-path]')].map((group) => {
    const shape = [...group.children].find(({ tagName }) => tagName === 'rect')
    const label = [...group.children].find(({ tagName }) => tagName === 'text')
    const [x, y, width, height] = ['x', 'y', 'width', 'height'].map((name) => Number(shape?.getAttribute(name) ?? 0))
    return {
      path: group.getAttribute('data-path'),
      kind: group.getAttribute('class'),
      text: label?.textContent ?? '',
      x,
      y,
      width,
      height,
    }
  })
  const texts = [...document.querySelectorAll('text')].map((element) => element.textContent)
  return { width: Number(root.getAttribute('width')), height: Number(root.getAttribute('height')), rectangles, texts }
}

const given = JSON.parse(readFileSync(0, 'utf8'))
// takes a second
const { default: mermaid } = given.mermaid.length + given.diagrams.length > 0 ? await import('mermaid') : {}
const flowcharts = []
for (const text of given.mermaid) flowcharts.push(await readFlowchart(text))
const faults = []
for (const text of given.diagrams) faults.push(await faultOf(text))
console.log(JSON.stringify({ mermaid: flowcharts, svg: given.svg.map(readPicture), faults }))
