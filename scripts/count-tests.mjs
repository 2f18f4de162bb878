/**
 * `node scripts/count-tests.mjs REPORT`: prints "PASSED FAILED" from jest's JSON report. A suite that could not run counts as a failure.
 * Prints the reason and exits 1 when there is no report or no test ran: nothing tested is not nothing wrong.
 */
import { readFileSync } from 'node:fs'

try {
  const report = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'))
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = report
  for (const count of [numPassedTests, numFailedTests, numRuntimeErrorTestSuites]) {
    if (!Number.isSafeInteger(count) || count < 0) throw new Error(`${process.argv[2]} has no counts`)
  }
  const failed = numFailedTests + numRuntimeErrorTestSuites
  if (numPassedTests + failed === 0) throw new Error('no test ran')
  console.log(`${numPassedTests} ${failed}`)
} catch (error) {
  console.log(`count-tests: ${error.message}`)
  process.exitCode = 1
}
