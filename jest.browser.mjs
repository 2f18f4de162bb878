/** `npm run test:browser`: pages in a real Chromium, on a real Redis with real workers. CI runs them where there is a browser; `npm test` does not wait for them. */
import config from './jest.config.mjs'

export default {
  ...config,
  testTimeout: 60_000,
  roots: ['<rootDir>/test/browser'],
  testPathIgnorePatterns: [],
  // one browser at a time: frames are measured
  maxWorkers: 1,
}
