import { z } from 'zod'
import { formOf } from '../../lib/engine/wait-about.js'

describe('what is kept with an open wait', () => {
  it('has the form of a schema up to so many bytes, whatever its letters', () => {
    const described = (text: string) => z.string().meta({ description: text })
    expect(formOf(described('e'.repeat(900)), undefined)).toMatchObject({ isExact: true })
    expect(formOf(described('€'.repeat(900)), undefined)).toEqual({})
    const shown = { title: 'Go on?' }
    expect(formOf(described('e'.repeat(4_000)), shown)).toHaveProperty('form')
    expect(formOf(described('€'.repeat(1_500)), shown)).toEqual({})
  })
})
