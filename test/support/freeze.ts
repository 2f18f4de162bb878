/** SIGSTOP that is over when the process really stands still: on a busy machine it runs on for a while after the call. */
import { readFileSync } from 'node:fs'
import { until } from './waits.js'

/** Stops a process with SIGSTOP; resolves when it stands still (elsewhere than on Linux: when it was told to). */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  if (process.platform !== 'linux') return
  await until(() => /\) [tTZ] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')), `process ${pid} stands still`)
}
