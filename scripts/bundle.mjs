/** Bundles the dashboard into dist/dashboard: one script and one style sheet, the small ones of both that come first, and one page, with fixed names. Needs nothing at run time. */
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { dashboardFolder, root } from './dist.mjs'

/** Writes the five files that a server sends. */
export async function bundleDashboard() {
  const [from, to] = [join(root, dashboardFolder), join(root, 'dist', dashboardFolder)]
  mkdirSync(to, { recursive: true })
  const settings = {
    absWorkingDir: root,
    outdir: to,
    bundle: true,
    minify: true,
    target: 'es2022',
    legalComments: 'none',
    charset: 'utf8',
    logLevel: 'warning',
  }
  await Promise.all([
    build({
      ...settings,
      entryPoints: ['app.tsx', 'app.css', 'first.css'].map((file) => join(from, file)),
      format: 'esm',
      jsx: 'automatic',
      jsxImportSource: 'preact',
      define: { 'process.env.NODE_ENV': '"production"' },
    }),
    // a browser waits for it before it paints, so it is no module: those run later
    build({ ...settings, entryPoints: [join(from, 'first.ts')], format: 'iife' }),
  ])
  copyFileSync(join(from, 'index.html'), join(to, 'index.html'))
}
