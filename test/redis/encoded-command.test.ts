import fc from 'fast-check'
import { Command } from 'ioredis'
import { type CommandArgument, encodeCommand } from '../../lib/backend/redis/encoded-command.js'

/** As the library writes it. */
const written = (words: readonly (string | number | Buffer)[]): Buffer => {
  const [name, ...args] = words
  return Buffer.from(new Command(String(name), args).toWritable({}))
}

const encoded = (head: readonly CommandArgument[], args: readonly CommandArgument[]): Buffer => {
  const { pieces, last } = encodeCommand(head, args)
  return Buffer.concat([...pieces, last])
}

describe('encoded command', () => {
  it('writes what the library writes, whatever the arguments are', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 80 })
    // the library looks transformers up by the command's name, and finds toString there, too: no command is called so
    const name = text.filter((word) => !(word in {} || word.toLowerCase() in {}))
    const argument = fc.oneof(
      text,
      fc.integer(),
      fc.double({ noNaN: true }),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    )
    fc.assert(
      fc.property(name, fc.array(text), fc.array(argument), (command, head, args) => {
        expect(encoded([command, ...head], args)).toEqual(written([command, ...head, ...args]))
      }),
    )
  })

  it('counts bytes, not characters, whether a text is short or long', () => {
    for (const length of [1, 10, 31, 32, 100]) {
      for (const letter of ['ä', '€', '𝄞', '\ud800'])
        expect(encoded(['SET'], [letter.repeat(length), `${'a'.repeat(length)}${letter}`, 'b'])).toEqual(
          written(['SET', letter.repeat(length), `${'a'.repeat(length)}${letter}`, 'b']),
        )
    }
  })

  it('makes room for arguments of any size, and forgets it', () => {
    const large = Buffer.alloc(3_000_000, 7)
    expect(encoded(['SET', 'k'], [large]).equals(written(['SET', 'k', large]))).toBe(true)
    const text = 'é'.repeat(50_000)
    expect(encoded(['SET', 'k'], [text]).equals(written(['SET', 'k', text]))).toBe(true)
    expect(encoded(['PING'], [])).toEqual(written(['PING']))
  })

  it('does not write into what it gave before', () => {
    const first = encodeCommand(['GET'], ['one']).last
    const before = Buffer.from(first)
    encodeCommand(['GET'], ['another'])
    expect(first).toEqual(before)
  })

  it('does not copy what is large', () => {
    const large = Buffer.alloc(100_000, 7)
    expect(encodeCommand(['SET', 'k'], [large, 'PX', 1]).pieces[1]).toBe(large)
  })
})
