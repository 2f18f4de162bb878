/** Tests are TypeScript, compiled by swc to CommonJS (types are checked by tsc, not here). */
import { availableParallelism } from 'node:os'

/** Packages that are ESM only, which jest can take in no other way than compiled. */
const esmOnly = ['canonicalize', 'arktype', '@ark/', 'arkregex', '@seriousme/']

export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['/test/long/', '/test/faults/', '/test/browser/'],
  cacheDirectory: '<rootDir>/.cache/jest',
  // Two more than cores: many tests wait for other processes. The default leaves one core free, which on two cores is half of them.
  maxWorkers: availableParallelism() + 2,
  testSequencer: '<rootDir>/test/longest-first.cjs',
  // loads a file's modules in a third of the time
  runtime: '<rootDir>/test/shared-runtime.cjs',
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    // what loads modules by their paths imports URLs, and jest requires them
    '^file://(/.*)$': '$1',
    // it exports under the condition `import` only, and jest asks with `require`
    '^canonicalize$': '<rootDir>/node_modules/canonicalize/lib/canonicalize.js',
    '^graflow$': '<rootDir>/lib/index.ts',
    '^graflow/worker$': '<rootDir>/worker/index.ts',
    '^graflow/testing$': '<rootDir>/lib/testing.ts',
  },
  transform: {
    '\\.[cm]?[jt]s$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!${esmOnly.join('|')})`],
  testTimeout: 20_000,
}
