/** How much a browser loads before it shows the dashboard. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const folder = join(__dirname, '../../dist/dashboard')

describe('the dashboard', () => {
  it('is less than 120 KB, compressed', () => {
    const bytes = ['index.html', 'first.js', 'first.css', 'app.js', 'app.css'].map(
      (name) => gzipSync(readFileSync(join(folder, name))).length,
    )
    expect(bytes.reduce((sum, one) => sum + one, 0)).toBeLessThan(120_000)
  })
})
