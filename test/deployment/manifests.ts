/** Manifests of Kubernetes, as data and as TypeScript that the compiler checks against the models of their kinds. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { parseAllDocuments } from 'yaml'

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  readonly [field: string]: any
}

const project = join(__dirname, '../..')

/** All documents of a text. @throws Error with what is no YAML */
export function manifestsOf(text: string): readonly Manifest[] {
  return parseAllDocuments(text).map((document) => {
    const [fault] = document.errors
    if (fault !== undefined) throw fault
    return document.toJS() as Manifest
  })
}

export const readManifests = (path: string): readonly Manifest[] =>
  manifestsOf(readFileSync(join(project, path), 'utf8'))

/** The package that has the models of an API group. */
function modelsOf(apiVersion: string): string {
  const [group = ''] = apiVersion.split('/')
  if (group === 'keda.sh') return '@kubernetes-models/keda'
  if (group === 'monitoring.coreos.com') return '@kubernetes-models/prometheus-operator'
  return 'kubernetes-models'
}

/** Each manifest as a constant that must have the type of its kind. */
const sourceOf = (manifests: readonly Manifest[]): string =>
  manifests
    .map((manifest, n) => {
      const { apiVersion, kind } = manifest
      const type = `import('${modelsOf(apiVersion)}/${apiVersion}').I${kind}`
      return `export const m${n}: ${type} = ${JSON.stringify(manifest, undefined, 1)}\n`
    })
    .join('')

/**
 * What the compiler finds wrong with groups of manifests: misspelt and missing fields, values of another type, unknown kinds. It reads the
 * models once for all.
 */
export function typeFaults(groups: readonly (readonly Manifest[])[]): readonly (readonly string[])[] {
  const folder = join(project, '.cache/manifests')
  mkdirSync(folder, { recursive: true })
  const files = groups.map((manifests, n) => {
    const file = join(folder, `group-${n}.ts`)
    writeFileSync(file, sourceOf(manifests))
    return file
  })
  const program = ts.createProgram(files, {
    ...{ noEmit: true, strict: true, skipLibCheck: true, types: [], lib: ['lib.es5.d.ts'] },
    ...{ module: ts.ModuleKind.CommonJS, moduleResolution: ts.ModuleResolutionKind.Bundler },
  })
  return files.map((file) =>
    program
      .getSemanticDiagnostics(program.getSourceFile(file))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' ')),
  )
}
