import fc from 'fast-check'
import { connect } from 'graflow'
import type { Report } from '../../examples/licence-audit/audit.js'
import { CLASSES, classOf, isLicenceFile, licenceOfText, statedLicence } from '../../examples/licence-audit/licences.js'
import { showProgress } from '../../examples/support/progress.js'
import { bytesText, render } from '../../examples/licence-audit/render.js'
import { each, task } from '../../lib/index.js'
import { anyCodePoint } from '../support/any-text.js'

describe('the class of a licence', () => {
  it.each([
    ['MIT', 'permissive'],
    ['Apache-2.0 WITH LLVM-exception', 'permissive'],
    ['LGPL-2.1+', 'weak copyleft'],
    ['GPL-2.0-only WITH Classpath-exception-2.0', 'copyleft'],
    ['MIT OR GPL-3.0', 'permissive'],
    ['MIT AND GPL-3.0', 'copyleft'],
    ['MPL-2.0 OR (GPL-2.0 AND MIT)', 'weak copyleft'],
    ['(MIT OR GPL-3.0) AND (ISC OR MPL-2.0)', 'permissive'],
    ['MIT AND Something-Else', 'unknown'],
    ['MIT OR Something-Else', 'permissive'],
    ['UNLICENSED', 'unknown'],
    ['none found', 'unknown'],
    ['(MIT', 'unknown'],
    ['MIT)', 'unknown'],
    ['MIT MIT', 'unknown'],
    ['', 'unknown'],
  ])('of %j is %s', (expression, expected) => {
    expect(classOf(expression)).toBe(expected)
  })

  it('of a text that is too long to be one is unknown, whatever is in it', () => {
    expect(classOf('('.repeat(100_000))).toBe('unknown')
    expect(classOf(`MIT${' OR MIT'.repeat(100)}`)).toBe('unknown')
  })

  it('of a choice is never more than of each, of a sum never less', () => {
    const licence = fc.constantFrom('MIT', 'ISC', 'MPL-2.0', 'GPL-3.0', 'Nothing-1.0')
    const rank = (expression: string) => CLASSES.indexOf(classOf(expression))
    fc.assert(
      fc.property(licence, licence, (a, b) => {
        expect(rank(`${a} OR ${b}`)).toBe(Math.min(rank(a), rank(b)))
        expect(rank(`${a} AND ${b}`)).toBe(Math.max(rank(a), rank(b)))
      }),
    )
  })
})

describe('the licence that a package.json states', () => {
  it.each([
    [{ license: 'MIT' }, 'MIT'],
    [{ license: ' (MIT OR CC0-1.0) ' }, 'MIT OR CC0-1.0'],
    [{ license: { type: 'BSD-3-Clause', url: 'x' } }, 'BSD-3-Clause'],
    [{ licenses: [{ type: 'MIT' }, { type: 'Apache 2.0' }, { type: 'MIT' }] }, 'MIT OR Apache-2.0'],
    [{ licenses: ['MIT'] }, 'MIT'],
    [{ licenses: 'MIT' }, 'MIT'],
    [{ licenses: [] }, undefined],
    [{ license: 'Apache License, Version 2.0' }, 'Apache-2.0'],
    [{ license: 'The MIT License' }, 'MIT'],
    [{ license: 'GPLv3' }, 'GPL-3.0'],
    [{ license: 'SEE LICENSE IN LICENSE.txt' }, undefined],
    [{ license: '' }, undefined],
    [{ license: 3 }, undefined],
    [{ license: null, licenses: [null, {}, { type: {} }] }, undefined],
    [{}, undefined],
  ])('%j is %s', (manifest, expected) => {
    expect(statedLicence(manifest)).toBe(expected)
  })
})

describe('the licence that a text reads like', () => {
  it.each([
    ['Permission is hereby granted, free of charge, to any person\n   obtaining a copy of this software', 'MIT'],
    ['Apache License\n   Version 2.0, January 2004', 'Apache-2.0'],
    ['Redistribution and use in source and binary forms, with or without', 'BSD-2-Clause'],
    ['Redistribution and use in source and binary forms … Neither the name of Nobody', 'BSD-3-Clause'],
    ['GNU GENERAL PUBLIC LICENSE\nVersion 2, June 1991', 'GPL-2.0'],
    ['GNU LESSER GENERAL PUBLIC LICENSE\nVersion 2.1, February 1999', 'LGPL-2.1'],
    ['GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3', 'AGPL-3.0'],
    ['Mozilla Public License Version 2.0', 'MPL-2.0'],
    ['Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee', '0BSD'],
    ['This is free and unencumbered software released into the public domain.', 'Unlicense'],
    ['All rights reserved.', undefined],
  ])('%j: %s', (text, expected) => {
    expect(licenceOfText(text)).toBe(expected)
  })

  it('is looked for in files with a licence’s name', () => {
    const names = ['LICENSE', 'licence.md', 'LICENSE-MIT', 'COPYING', 'UNLICENSE', 'licenses.js', 'copyingFiles.ts']
    expect(names.filter(isLicenceFile)).toEqual(['LICENSE', 'licence.md', 'LICENSE-MIT', 'COPYING', 'UNLICENSE'])
  })
})

describe('the table of the licence audit', () => {
  const text = fc.string({ unit: anyCodePoint, maxLength: 60 })
  const size = fc.nat(10_000_000_000)
  const report: fc.Arbitrary<Report> = fc.record({
    packages: size,
    files: size,
    bytes: size,
    filesRead: size,
    classes: fc.constant({ permissive: 3, 'weak copyleft': 0, copyleft: 1, unknown: 2 }),
    licences: fc.array(
      fc.record({
        licence: text,
        class: fc.constantFrom(...CLASSES),
        packages: size,
        bytes: size,
        names: fc.array(text, { minLength: 1, maxLength: 5 }),
      }),
    ),
    largest: fc.array(
      fc.record({
        name: text,
        version: fc.option(text, { nil: undefined }),
        path: text,
        licence: text,
        class: fc.constantFrom(...CLASSES),
        files: size,
        bytes: size,
        filesRead: size,
      }),
    ),
    duplicates: fc.array(
      fc.record({ name: text, versions: fc.array(fc.record({ version: text, paths: fc.array(text) })) }),
    ),
    findings: fc.array(fc.record({ kind: fc.constant('manifest' as const), path: text, problem: text })),
    links: fc.nat(3),
  })

  it('is never wider than the terminal, and lets nothing through that could draw on it', () => {
    fc.assert(
      fc.property(report, fc.integer({ min: 72, max: 200 }), (given, columns) => {
        const plain = render(given, { columns, hasColour: false })
        expect(plain).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
        expect(Math.max(...plain.split('\n').map((line) => [...line].length))).toBeLessThanOrEqual(columns)
        const coloured = render(given, { columns, hasColour: true })
        expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(plain)
      }),
    )
  })

  it('writes sizes with three digits and a unit', () => {
    expect([0, 999, 1_000, 1_449, 999_949, 1_000_000, 2_500_000_000].map(bytesText)).toEqual([
      ...['0 B', '999 B', '1.0 kB', '1.4 kB', '999.9 kB', '1.0 MB', '2.5 GB'],
    ])
  })
})

describe('the progress of a run', () => {
  const work = each(task('work', async (n: number) => n))

  async function shown(isTTY: boolean, columns = 80): Promise<string> {
    let written = ''
    await using graflow = await connect()
    const run = await graflow.start(work, [1, 2, 3])
    await showProgress(run, { '': 'starting', '0': 'working' }, { isTTY, columns, write: (text) => (written += text) })
    return written
  }

  it('on a terminal is one line that is drawn again and is gone at the end', async () => {
    const written = await shown(true)
    expect(written).not.toContain('\n')
    expect(written).toMatch(/^\r\u001b\[K {2}starting/)
    expect(written).toMatch(/\r\u001b\[K$/)
  })

  it('is never wider than a small terminal', async () => {
    const lines = (await shown(true, 12)).split('\r\u001b[K')
    expect(lines.map((line) => line.length).filter((length) => length > 11)).toEqual([])
  })

  it('elsewhere is a line when a group begins and when it ends', async () => {
    expect(await shown(false)).toMatch(/^working: 3 branches\nworking: 3 done in \d+ ms\n$/)
  })
})
