/** The package's version, for `--version`. */
import { readFileSync } from 'node:fs'

/** From here or from dist/; `unknown` where neither has a package.json above it. */
export function versionOf(): string {
  for (const up of ['..', '../..']) {
    try {
      const manifest: unknown = JSON.parse(readFileSync(new URL(`${up}/package.json`, import.meta.url), 'utf8'))
      if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) return String(manifest.version)
    } catch {
      // not here: one up
    }
  }
  return 'unknown'
}
