/** Progress: the last note at each of the paths that were noted last. */
import { progressMark } from '../../lib/backend/kept.js'
import { readNote } from '../../lib/backend/progress-notes.js'
import { bytes, text, type UseWorld, type World } from '../support/world.js'

const MARKS = Array.from({ length: 100 }, (_, slot) => progressMark(slot))

async function notes(world: World): Promise<[path: string, value: string][]> {
  const found = await world.backend.inspect.outputs('run', MARKS)
  return found.flatMap((output): [string, string][] => {
    const note = output === undefined ? undefined : readNote(output)
    return note === undefined ? [] : [[note.path, text(note.value)]]
  })
}
const say = (world: World, ...of: readonly [path: string, fence: number, value: string][]) =>
  world.backend.progress({
    runId: 'run',
    notes: of.map(([path, fence, value]) => ({ path, fence, value: bytes(value) })),
  })

export function describeProgress(useWorld: UseWorld): void {
  it('keeps the last note at a path, and leaves out one of an earlier grant', async () => {
    const world = await useWorld()
    await world.start('run')
    expect(await say(world, ['1/0', 5, 'a'], ['1/1', 5, 'b'])).toBe('ok')
    expect(await say(world, ['1/0', 6, 'c'], ['1/1', 4, 'late'])).toBe('ok')
    expect(await notes(world)).toEqual([
      ['1/0', 'c'],
      ['1/1', 'b'],
    ])
    expect(await world.backend.inspect.outputs('run', ['/!p0', 'none'])).toEqual([expect.anything(), undefined])
  })

  it('takes the place of the oldest note once there are many', async () => {
    const world = await useWorld()
    await world.start('run')
    await say(world, ...Array.from({ length: 100 }, (_, n): [string, number, string] => [`1/${n}`, 5, `${n}`]))
    await say(world, ['1/100', 5, 'new'])
    const found = await notes(world)
    expect(found).toHaveLength(100)
    expect(found).toContainEqual(['1/100', 'new'])
  })

  it('is not kept of a run that is not there', async () => {
    const world = await useWorld()
    expect(await say(world, ['0', 1, 'a'])).toBe('gone')
    expect(await world.backend.inspect.outputs('run', ['/!p0'])).toEqual([undefined])
  })
}
