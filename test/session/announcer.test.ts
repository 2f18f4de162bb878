import { AnnouncedEvents, Announcer } from '../../lib/session/announcer.js'
import { Emitter } from '../../lib/events.js'
import { manualClock } from 'graflow/testing'
import { turn } from '../support/waits.js'

/** A process that announces to so many others. */
function announcing({ heard = 1 } = {}) {
  const clock = manualClock()
  const messages: Uint8Array[] = []
  const others = { heard }
  const announce = async (_: string, bytes: Uint8Array): Promise<number> => {
    messages.push(bytes)
    return others.heard
  }
  const announcer = new Announcer({ backend: { announce }, clock, sender: 'a' })
  const emitter = new Emitter(() => 0)
  emitter.forwardTo(announcer)
  const progress = (message: string, runId = 'r'): void =>
    emitter.emit('run:progress', { runId, path: '0', task: 't', fraction: 0, message })
  const read = (self = 'b'): string[] => {
    const events = new AnnouncedEvents('r', self)
    return messages.flatMap((bytes) => events.read(bytes)).map((event) => (event as { message?: string }).message ?? '')
  }
  return { clock, messages, others, announcer, emitter, progress, read }
}

describe('announced events', () => {
  it('of one turn and run travel together, in order', async () => {
    const { messages, progress, read } = announcing()
    for (let i = 0; i < 10; i += 1) progress(`${i}`)
    progress('of another', 'q')
    await turn()
    expect(messages).toHaveLength(2)
    expect(read()).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`))
  })

  it('are read once, and not by who announced them', async () => {
    const { messages, progress, read } = announcing()
    progress('first')
    await turn()
    messages.push(...messages)
    expect(read()).toEqual(['first'])
    expect(read('a')).toEqual([])
  })

  it('come in several messages where they are many, or large', async () => {
    const { messages, progress, read } = announcing()
    for (let i = 0; i < 1_000; i += 1) progress(`${i}`)
    await turn()
    expect(messages.length).toBe(4)
    progress('x'.repeat(200_000))
    progress('y'.repeat(200_000))
    progress('z'.repeat(2_000_000)) // too large for any message
    await turn()
    expect(read()).toHaveLength(1_002)
    expect(Math.max(...messages.map(({ length }) => length))).toBeLessThan(256 * 1024)
  })

  it('one that cannot be carried keeps no other from being carried', async () => {
    const { progress, read } = announcing()
    for (const message of ['before', 'lone \ud800', 'behind']) progress(message)
    await turn()
    expect(read()).toEqual(['before', 'behind'])
  })

  it('are not built for a while once nobody has heard', async () => {
    const { clock, others, emitter, messages, progress, read } = announcing({ heard: 0 })
    progress('unheard')
    await turn()
    others.heard = 1
    expect(emitter.isSubscribed('run:progress', 'r')).toBe(false)
    expect(emitter.isSubscribed('run:progress', 'q')).toBe(true)
    clock.advance(249)
    progress('still unheard')
    await turn()
    expect(messages).toHaveLength(1)
    clock.advance(251)
    progress('heard')
    await turn()
    expect(read()).toEqual(['unheard', 'heard'])
    clock.advance(10_000)
    expect(clock.nextDueMs()).toBeUndefined()
  })

  it('are built at once when a grant says that somebody watches', async () => {
    const { announcer, emitter } = announcing()
    announcer.learn('r', false)
    expect(emitter.isSubscribed('branch:settled', 'r')).toBe(false)
    announcer.learn('r', true)
    expect(emitter.isSubscribed('branch:settled', 'r')).toBe(true)
  })

  it('from nobody that we know say nothing', () => {
    const events = new AnnouncedEvents('r', 'b')
    for (const bytes of [[], [1], [0xc1], [0x93, 0xa1, 0x61, 0, 0x91, 0xc0]])
      expect(events.read(Uint8Array.from(bytes))).toEqual([])
  })
})
