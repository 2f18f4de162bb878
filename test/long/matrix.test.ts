/** Every option of tasks and groups at every place where a task or group may stand, embedded and on Redis. docs/matrix.md shows it. */
import { turn, within } from '../support/waits.js'
import { openBench, type StoreName } from '../matrix/benches.js'
import { Cell } from '../matrix/cell.js'
import { GROUP_OPTIONS } from '../matrix/group-options.js'
import { JOINS } from '../matrix/joins.js'
import { PLACES } from '../matrix/places.js'
import type { Bench, BenchName } from '../matrix/table.js'
import { TASK_OPTIONS } from '../matrix/task-options.js'

const CELL_MS = 15_000

const makeCells = (): readonly Cell[] =>
  [...TASK_OPTIONS, ...GROUP_OPTIONS, ...JOINS].flatMap((option) =>
    PLACES.filter((place) => option.cannot?.[place.name] === undefined).map((place) => new Cell(option, place)),
  )

/** What is wrong with the cell; undefined: nothing. */
async function play(cell: Cell, bench: Bench): Promise<unknown> {
  cell.useBench(bench)
  const soFar = (): string => `the end of ${cell.title}; noted so far: ${JSON.stringify(cell.notes.all)}`
  try {
    await within(CELL_MS, cell.option.observe(cell), soFar)
    return undefined
  } catch (error) {
    return error ?? new Error(`${cell.title} threw nothing`)
  } finally {
    bench.leave()
  }
}

/** In this order: cells in which seconds count have the process to themselves, beside those that mostly wait. */
const BENCHES = ['lost', 'one-slot', 'workers', 'split', 'plain'] as const satisfies readonly BenchName[]

/** Opens all benches, and plays the cells of each at once. What is wrong, by title. */
async function playAll(
  store: StoreName,
  cells: readonly Cell[],
  ends: (() => Promise<void>)[],
): Promise<ReadonlyMap<string, unknown>> {
  const faults = new Map<string, unknown>()
  const played: Promise<unknown>[] = []
  for (const name of BENCHES) {
    const own = cells.filter(({ option }) => option.bench === name)
    const bench = await openBench(store, name, own)
    ends.push(() => bench.end())
    const here: Promise<unknown>[] = []
    for (const cell of own) {
      here.push(play(cell, bench).then((fault) => faults.set(cell.title, fault)))
      await turn() // else the timers of the first are late before the last has begun
    }
    if (name === 'workers') await Promise.all(here)
    played.push(...here)
  }
  await Promise.all(played)
  return faults
}

describe.each(['embedded', 'redis'] as const)('the matrix (%s)', (store) => {
  const cells = makeCells()
  const ends: (() => Promise<void>)[] = []
  let faults: ReadonlyMap<string, unknown> = new Map()
  beforeAll(async () => {
    faults = await playAll(store, cells, ends)
  }, 60_000)
  afterAll(async () => {
    await Promise.all(ends.map((end) => end()))
  }, 30_000)

  it.each(cells.map(({ title }) => title))('%s', (title) => {
    expect(faults.has(title)).toBe(true)
    const fault = faults.get(title)
    if (fault !== undefined) throw fault
  })
})
