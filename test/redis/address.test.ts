/** What addresses of Redis mean, and that none is shown with its password. */
import { parseAddress } from '../../lib/backend/redis/address.js'
import { thrown } from '../support/captured-errors.js'

describe('an address of Redis', () => {
  it.each([
    ['redis://localhost', { host: 'localhost', port: 6379, db: 0, isTls: false }],
    ['redis://localhost:6380/3', { host: 'localhost', port: 6380, db: 3, isTls: false }],
    ['rediss://example.org/', { host: 'example.org', port: 6379, db: 0, isTls: true }],
    ['redis://[::1]:7000', { host: '::1', port: 7000, db: 0, isTls: false }],
    ['redis://ada:s%40cret@localhost', { host: 'localhost', username: 'ada', password: 's@cret' }],
    ['redis://:a%23b%3Fc%40d%2Fe@localhost', { host: 'localhost', password: 'a#b?c@d/e' }],
    ['redis://:secret@localhost', { host: 'localhost', password: 'secret' }],
    ['redis://localhost?db=3', { host: 'localhost', db: 3 }],
    ['redis://localhost/3?db=3&family=6', { db: 3, family: 6 }],
    ['rediss://localhost:7000/?family=0', { port: 7000, db: 0, family: 0 }],
    ['unix:///run/redis.sock', { path: '/run/redis.sock', db: 0, isTls: false }],
    ['unix://ada:secret@/run/redis.sock?db=2', { path: '/run/redis.sock', username: 'ada', password: 'secret', db: 2 }],
  ])('%s', (address, target) => {
    expect(parseAddress(address)).toMatchObject(target)
  })

  it.each([
    ['redis://ada:secret@localhost/2', 'redis://localhost:6379/2'],
    ['rediss://:secret@example.org', 'rediss://example.org:6379'],
    ['unix://ada:secret@/run/redis.sock?db=2', 'unix:///run/redis.sock?db=2'],
    ['redis://localhost', 'redis://localhost:6379'],
  ])('%s is shown as %s', (address, shown) => {
    expect(parseAddress(address).shown).toBe(shown)
  })

  it.each([
    '',
    'localhost:6379',
    'http://localhost',
    'redis://',
    'redis:///0',
    'redis://host/zero',
    'redis://host:99999',
    'unix://',
    'unix://host/run/redis.sock',
    'redis://%zz@host',
  ])('%j is refused, with what would do', (address) => {
    expect(thrown(() => parseAddress(address))).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('redis://[user:password@]host[:port][/db]'),
    })
  })

  it.each([
    'redis://:p@ss@host',
    'redis://:a/b@host',
    'redis://:a?b@host',
    'redis://:a#b@host',
    'unix://:a/b@/run/x.sock',
  ])('%s is refused, and says how such a character is written', (address) => {
    expect(thrown(() => parseAddress(address))).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('/ as %2F, ? as %3F, # as %23, @ as %40'),
    })
  })

  it.each([
    ['redis://localhost?tls=true', 'there is no setting "tls": behind the question mark may stand db and family'],
    ['redis://localhost/2?db=2&DB=2', 'there is no setting "db": behind'],
    ['redis://localhost?password=geheim', 'user and password stand before the @'],
    ['unix:///run/redis.sock?family=4', 'there is no setting "family": behind the question mark may stand db'],
    ['unix:///run/redis.sock?db=x', 'db: expected the number of a database, got another text'],
    ['redis://localhost?family=5', 'family: expected 4 or 6, the version of IP, or 0 for either, got another text'],
    ['redis://localhost/1?db=2', 'one database is named in the path, another behind the question mark: name it once'],
    ['redis://localhost?', ''],
  ])('%j has no settings that would be ignored', (address, says) => {
    if (says === '') {
      expect(parseAddress(address)).toMatchObject({ db: 0 })
      return
    }
    const error = thrown(() => parseAddress(address))
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).toContain(says)
    expect(error.message).not.toContain('geheim')
  })

  it('never shows a password, not even of what cannot be read', () => {
    for (const address of ['ada:secret@host', 'redis://ada:secret@host/zero']) {
      expect(String(thrown(() => parseAddress(address)))).not.toMatch(/secret|se@cret/)
    }
  })
})
