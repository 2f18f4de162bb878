/** Bundles the dashboard into dist/dashboard: one script and the small one that runs before it, one style sheet, one page, with fixed names. Needs nothing at run time. */
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { dashboardFolder, root } from './dist.mjs'

/** Writes the four files that a server sends. */
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
      entryPoints: [join(from, 'app.tsx'), join(from, 'app.css')],
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
