/** What redis-server says that it has done, as numbers. */
import type { Redis } from 'ioredis'

interface Usage {
  /** Of the main thread, user and system, since the server started; Redis tells it to the microsecond. */
  readonly cpuUs: number
  /** All commands, those included that scripts called. */
  readonly commands: number
}

export async function usageOf(redis: Redis): Promise<Usage> {
  const text = await redis.info('everything')
  const number = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1] ?? Number.NaN)
  let commands = 0
  for (const [, calls] of text.matchAll(/^cmdstat_\S+:calls=(\d+)/gm)) commands += Number(calls)
  return { cpuUs: (number('used_cpu_user_main_thread') + number('used_cpu_sys_main_thread')) * 1e6, commands }
}
