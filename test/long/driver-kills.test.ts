/** Processes that drive a run are killed at every call that they make, in three ways: another goes on, and nothing that is finished is done again. */
import { join } from 'node:path'
import { DriverKills, type Kill, KILLS, nameOf, STEPS } from '../faults/driver-kills.js'
import { endChildren } from '../support/processes.js'
import { useStages } from '../support/redis-stage.js'

const open = useStages(join(__dirname, '../faults/drivers.tasks.ts'))

describe.each(['start', 'run', 'resume'] as const)('P1, FT-P1, FT-P2, FT-P5, FT-P6: a driver by %s', (how) => {
  let kills: DriverKills
  let end: () => Promise<void>
  let undisturbed: Awaited<ReturnType<DriverKills['undisturbed']>>

  beforeAll(async () => {
    const stage = await open()
    end = () => stage.end()
    kills = await DriverKills.on(stage, how)
    undisturbed = await kills.undisturbed()
  })

  afterAll(async () => {
    await end()
    await endChildren()
  })

  it('takes so many steps', () => {
    expect(undisturbed.steps).toBe(STEPS)
  })

  it.each(KILLS.filter((kill) => kill.how === how).map((kill): [string, Kill] => [nameOf(kill), kill]))(
    'that is killed at %s',
    async (_, kill) => {
      await kills.expectSame(kill, undisturbed)
    },
    30_000,
  )
})

it('there are at least sixty kills', () => {
  expect(KILLS.length).toBeGreaterThanOrEqual(60)
})
