/** What redis-server says of itself, as numbers. */
import type { Redis } from 'ioredis'

export interface Usage {
  /** Of the main thread, user and system, since the server started; Redis tells it to the microsecond. */
  readonly cpuUs: number
  /** Time inside scripts, by Redis's own account, and how many there were. */
  readonly scriptUs: number
  readonly scripts: number
  /** All commands, those included that scripts called. */
  readonly commands: number
  /** Memory without the buffers of clients and of the log. */
  readonly dataBytes: number
}

export async function usageOf(redis: Redis): Promise<Usage> {
  const text = await redis.info('everything')
  const number = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1] ?? Number.NaN)
  let scriptUs = 0
  let scripts = 0
  let commands = 0
  for (const [, name, calls, us] of text.matchAll(/^cmdstat_(\S+):calls=(\d+),usec=(\d+)/gm)) {
    commands += Number(calls)
    if (name !== 'evalsha') continue
    scripts = Number(calls)
    scriptUs = Number(us)
  }
  return {
    cpuUs: (number('used_cpu_user_main_thread') + number('used_cpu_sys_main_thread')) * 1e6,
    scriptUs,
    scripts,
    commands,
    dataBytes: number('used_memory') - number('mem_clients_normal') - number('mem_aof_buffer'),
  }
}

/** What happened between two looks. */
export function usageBetween(before: Usage, after: Usage): Usage {
  return {
    cpuUs: after.cpuUs - before.cpuUs,
    scriptUs: after.scriptUs - before.scriptUs,
    scripts: after.scripts - before.scripts,
    commands: after.commands - before.commands,
    dataBytes: after.dataBytes - before.dataBytes,
  }
}
