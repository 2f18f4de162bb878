import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, root, runExample } from '../support/programs.js'

beforeAll(build, 120_000)

describe('examples/hello', () => {
  it('runs as it is written, prints its result and ends', async () => {
    const { code, stdout, stderr } = await runExample('hello/main.ts', [], { isAsWritten: true })
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: '10 words, the longest is "question"\n',
      stderr: '',
    })
  })

  it('is the example of the README, word for word, with its output', () => {
    const source = readFileSync(join(root, 'examples/hello/main.ts'), 'utf8').replace(/^\/\*\*.*?\*\/\n/s, '')
    const readme = readFileSync(join(root, 'README.md'), 'utf8')
    expect(readme).toContain(`\`\`\`ts\n${source}\`\`\`\n`)
    expect(readme).toContain('`10 words, the longest is "question"`')
  })

  it('has at most ten lines of code', () => {
    const source = readFileSync(join(root, 'examples/hello/main.ts'), 'utf8').replace(/^\/\*\*.*?\*\/\n/s, '')
    expect(source.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(10)
  })

  it('L1: four spellings are one flow: equal texts and equal hashes', async () => {
    const { code, stdout } = await runExample('hello/spellings.ts')
    const lines = stdout.trimEnd().split('\n')
    expect(code).toBe(0)
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['text', 'functions', 'methods', 'template'])
    expect(new Set(lines.map((line) => line.replace(/^\w+ +/, ''))).size).toBe(1)
    expect(lines[0]).toContain('words >> (count | longest) >> report')
  })
})
