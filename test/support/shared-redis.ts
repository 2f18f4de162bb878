/**
 * One redis-server for all tests of a file, told apart by key prefixes, and private ones that a test may break. All are stopped when
 * the file is done. Starting one takes about 30 ms.
 */
import { RedisServer, type RedisServerOptions } from './redis-server.js'

const started: RedisServer[] = []
const ends: (() => Promise<unknown>)[] = []
let shared: Promise<RedisServer> | undefined
let prefixes = 0

afterAll(async () => {
  for (const end of ends.splice(0)) await end()
  shared = undefined
  await Promise.all(started.splice(0).map((server) => server.stop()))
})

/** The server that this file's tests share. Use a `freshPrefix()` each, and leave its configuration alone. */
export async function sharedRedis(): Promise<RedisServer> {
  shared ??= privateRedis()
  return shared
}

/** Runs at the end of the file, before its servers are stopped. */
export function beforeServersStop(end: () => Promise<unknown>): void {
  ends.push(end)
}

/** A server for one test, which may do with it what it likes. Stopped at the end of the file at the latest. */
export async function privateRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = await RedisServer.start(options)
  started.push(server)
  return server
}

/** A key prefix that no other test has. */
export function freshPrefix(): string {
  prefixes += 1
  return `test:${process.pid}-${prefixes}`
}
