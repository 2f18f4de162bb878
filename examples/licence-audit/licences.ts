/**
 * Finds the licence of a package, from its package.json or its licence file, and the class of that licence. It helps people to check
 * licences themselves. It is no legal advice.
 */

/** From the least restrictive class to the unknown one. */
export const CLASSES = ['permissive', 'weak copyleft', 'copyleft', 'unknown'] as const
export type LicenceClass = (typeof CLASSES)[number]

/** Families of SPDX identifiers (https://spdx.org/licenses). */
const FAMILIES: readonly (readonly [pattern: RegExp, of: LicenceClass])[] = [
  [
    /^(MIT|MIT-0|ISC|0BSD|BSD|BSD-[1-4]-Clause(-.+)?|Apache-[12]\.[01]|X11|NCSA|PostgreSQL|Zlib|libpng|curl)$/i,
    'permissive',
  ],
  [
    /^(BlueOak-1\.0\.0|BSL-1\.0|CC0-1\.0|CC-BY-[1-4]\.[05]|Unlicense|WTFPL|Python-2\.0|PSF-2\.0|Artistic-2\.0)$/i,
    'permissive',
  ],
  [/^(Unicode-.+|W3C|AFL-.+|Ruby|Public Domain)$/i, 'permissive'],
  [/^(LGPL|MPL|EPL|CDDL|CPL|EUPL|OFL|MS-PL)(-.+)?$/i, 'weak copyleft'],
  [/^(GPL|AGPL|OSL|SSPL|CC-BY-SA|ODbL)(-.+)?$/i, 'copyleft'],
]

/** Old spellings of licences that have an SPDX identifier. */
const SPELLINGS: readonly (readonly [pattern: RegExp, identifier: string])[] = [
  [/^(the )?mit( license|\/x11)?$/i, 'MIT'],
  [/^apache([ -]license)?,?[ -]?(version )?v?2(\.0)?$/i, 'Apache-2.0'],
  [/^(l?gpl)-?v?([123])(\.0)?$/i, '$1-$2.0'],
]

/** A longer text is not a licence expression. */
const LONGEST_EXPRESSION = 500

/** The class of an SPDX expression. Of `A OR B`, it is the less restrictive one, as the user may choose; of `A AND B`, the other one. */
export function classOf(expression: string): LicenceClass {
  const words: string[] = expression.length > LONGEST_EXPRESSION ? [] : (expression.match(/[()]|[^\s()]+/g) ?? [])
  const next = (word: RegExp): boolean => word.test(words[0] ?? '') && words.shift() !== undefined
  const several = (operator: RegExp, part: () => number, choose: (a: number, b: number) => number): number => {
    let chosen = part()
    while (next(operator)) chosen = choose(chosen, part())
    return chosen
  }
  const either = (): number => several(/^OR$/i, both, Math.min)
  const both = (): number => several(/^AND$/i, one, Math.max)
  const one = (): number => {
    if (next(/^\($/)) {
      const inner = either()
      return next(/^\)$/) ? inner : CLASSES.indexOf('unknown')
    }
    const found = CLASSES.indexOf(classOfIdentifier(words.shift() ?? ''))
    // An exception only adds permissions, so the class of the licence itself is safe.
    if (next(/^WITH$/i)) words.shift()
    return found
  }
  const found = either()
  return words.length === 0 ? (CLASSES[found] ?? 'unknown') : classOfIdentifier(expression)
}

function classOfIdentifier(identifier: string): LicenceClass {
  return FAMILIES.find(([pattern]) => pattern.test(identifier.replace(/\+$/, '')))?.[1] ?? 'unknown'
}

/**
 * The licence in a package.json, as one expression. It is the SPDX field, the object of older packages, or their list `licenses`, from
 * which the user may choose. Undefined if there is none, or if the field names a file.
 */
export function statedLicence(manifest: Readonly<Record<string, unknown>>): string | undefined {
  const { license, licenses } = manifest
  const one = nameOf(license)
  if (one !== undefined) return /^see licen[cs]e in /i.test(one) ? undefined : one
  if (!Array.isArray(licenses)) return nameOf(licenses)
  const several = [...new Set(licenses.flatMap((item) => nameOf(item) ?? []))]
  return several.length > 0 ? several.join(' OR ') : undefined
}

function nameOf(licence: unknown): string | undefined {
  if (typeof licence === 'object' && licence !== null && 'type' in licence) return nameOf(licence.type)
  if (typeof licence !== 'string' || licence.trim() === '') return undefined
  const text = licence.trim().replace(/^\(([^()]*)\)$/, '$1')
  const spelling = SPELLINGS.find(([pattern]) => pattern.test(text))
  return spelling === undefined
    ? text
    : text.replace(spelling[0], spelling[1]).toUpperCase().replace('APACHE', 'Apache')
}

/** Whether a file holds a licence text, by its name. */
export const isLicenceFile = (name: string): boolean => /^(un)?licen[cs]e([.-]|$)|^copying([.-]|$)/i.test(name)

/** The licence of a text, recognised by words that every copy of it contains. */
export function licenceOfText(text: string): string | undefined {
  const words = text.replace(/\s+/g, ' ')
  const has = (pattern: RegExp): boolean => pattern.test(words)
  const version = (): string => /version ([123](?:\.[0-9])?)/i.exec(words)?.[1]?.padEnd(2, '.').padEnd(3, '0') ?? '3.0'
  if (has(/GNU AFFERO GENERAL PUBLIC LICENSE/i)) return 'AGPL-3.0'
  if (has(/GNU (LESSER|LIBRARY) GENERAL PUBLIC LICENSE/i)) return `LGPL-${version()}`
  if (has(/GNU GENERAL PUBLIC LICENSE/i)) return `GPL-${version()}`
  if (has(/Mozilla Public License,? (Version|v\.?) ?2\.0/i)) return 'MPL-2.0'
  if (has(/Apache License,? Version 2\.0/i)) return 'Apache-2.0'
  if (has(/This is free and unencumbered software released into the public domain/i)) return 'Unlicense'
  if (has(/CC0 1\.0 Universal/i)) return 'CC0-1.0'
  if (has(/Permission is hereby granted, free of charge, to any person obtaining a copy/i)) return 'MIT'
  if (has(/Permission to use, copy, modify, and\/or distribute this software for any purpose/i)) {
    return has(/provided that the above copyright notice/i) ? 'ISC' : '0BSD'
  }
  if (has(/Redistribution and use in source and binary forms/i)) {
    return has(/Neither the names? of/i) ? 'BSD-3-Clause' : 'BSD-2-Clause'
  }
  return undefined
}
