/** Bundles the dashboard into dist/dashboard: one script, one style sheet, one page, with fixed names. Needs nothing at run time. */
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { dashboardFolder, root } from './dist.mjs'

/** Writes the three files that a server sends. */
export async function bundleDashboard() {
  const [from, to] = [join(root, dashboardFolder), join(root, 'dist', dashboardFolder)]
  mkdirSync(to, { recursive: true })
  await build({
    absWorkingDir: root,
    entryPoints: [join(from, 'app.tsx'), join(from, 'app.css')],
    outdir: to,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    charset: 'utf8',
    logLevel: 'warning',
    define: { 'process.env.NODE_ENV': '"production"' },
  })
  copyFileSync(join(from, 'index.html'), join(to, 'index.html'))
}
