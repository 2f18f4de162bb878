/**
 * The audit as a flow: `list >> inspect* >> (byLicence | bySize | duplicates) >> report`. Every package is a branch. Then three tasks
 * analyse all packages in parallel.
 */
import { flow, task, workflow, type Out } from 'graflow'
import { CLASSES, classOf, type LicenceClass } from './licences.js'
import { inspectPackage, listPackages, type Finding, type Package, type Place } from './packages.js'

export interface LicenceRow {
  readonly licence: string
  readonly class: LicenceClass
  readonly packages: number
  readonly bytes: number
  /** `name@version` of each. */
  readonly names: readonly string[]
}

export interface Duplicate {
  readonly name: string
  readonly versions: readonly { readonly version: string; readonly paths: readonly string[] }[]
}

/** The result of the audit. */
export interface Report {
  readonly packages: number
  readonly files: number
  readonly bytes: number
  readonly filesRead: number
  readonly classes: Readonly<Record<LicenceClass, number>>
  readonly licences: readonly LicenceRow[]
  readonly largest: readonly Package[]
  readonly duplicates: readonly Duplicate[]
  readonly findings: readonly Finding[]
  /** Links to packages. Each package is counted at its real place. */
  readonly links: number
}

/** What branches share besides their results. */
interface Told {
  readonly findings: readonly Finding[]
  readonly links: number
}

const LARGEST = 10

export const list = task('list', async (directory: string, ctx): Promise<readonly Place[]> => {
  const { places, findings, links } = await listPackages(directory)
  const told = ctx.channel<Told>()
  for (const finding of findings) await told.append('findings', finding)
  await told.set('links', links)
  return places
})

export const inspect = task('inspect', async (place: Place, ctx): Promise<Package> => {
  const { found, findings } = await inspectPackage(place)
  for (const finding of findings) await ctx.channel<Told>().append('findings', finding)
  return found
})

export const byLicence = task('by-licence', (packages: readonly Package[]): readonly LicenceRow[] =>
  [...groupBy(packages, ({ licence }) => licence)]
    .map(([licence, those]) => ({
      licence,
      class: classOf(licence),
      packages: those.length,
      bytes: sum(those, ({ bytes }) => bytes),
      names: those.map(({ name, version }) => (version === undefined ? name : `${name}@${version}`)).sort(),
    }))
    .sort((a, b) => b.packages - a.packages || order(a.licence, b.licence)),
)

export const bySize = task('by-size', (packages: readonly Package[]) => ({
  packages: packages.length,
  files: sum(packages, ({ files }) => files),
  bytes: sum(packages, ({ bytes }) => bytes),
  filesRead: sum(packages, ({ filesRead }) => filesRead),
  largest: packages.toSorted((a, b) => b.bytes - a.bytes || order(a.path, b.path)).slice(0, LARGEST),
}))

export const duplicates = task('duplicates', (packages: readonly Package[]): readonly Duplicate[] =>
  [...groupBy(packages, ({ name }) => name)]
    .map(([name, those]) => ({
      name,
      versions: [...groupBy(those, ({ version }) => version)]
        .flatMap(([version, same]) =>
          version === undefined ? [] : { version, paths: same.map(({ path }) => path).sort() },
        )
        .sort((a, b) => a.version.localeCompare(b.version, 'en', { numeric: true })),
    }))
    .filter(({ versions }) => versions.length > 1)
    .sort((a, b) => b.versions.length - a.versions.length || order(a.name, b.name)),
)

type Answers = readonly [readonly LicenceRow[], Out<typeof bySize>, readonly Duplicate[]]

export const report = task('report', async ([licences, sizes, doubles]: Answers, ctx): Promise<Report> => {
  const told = ctx.channel<Told>()
  const findings = await told.list('findings')
  const packagesOf = (wanted: LicenceClass): number =>
    sum(licences, ({ class: found, packages }) => (found === wanted ? packages : 0))
  return {
    ...sizes,
    classes: Object.fromEntries(CLASSES.map((name) => [name, packagesOf(name)])) as Report['classes'],
    licences,
    duplicates: doubles,
    findings: findings.sort((a, b) => order(a.path, b.path) || order(a.problem, b.problem)),
    links: (await told.get('links')) ?? 0,
  }
})

/** TypeScript infers the type from the text: it takes a directory and gives a Report. */
export const steps = flow('list >> inspect* >> (byLicence | bySize | duplicates) >> report', {
  list,
  inspect,
  byLicence,
  bySize,
  duplicates,
  report,
})

/** `await graflow.run(audit, directory)` */
export const audit = workflow('licence-audit', steps)

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

const sum = <T>(items: readonly T[], numberOf: (item: T) => number): number =>
  items.reduce((total, item) => total + numberOf(item), 0)

/** The same order on every machine, in every locale. */
const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
