/** The control plane as those who start it see it: `connect({ serve })` and `graflow serve`. */

/** A key of the control plane. Of the key itself only its hash is kept. */
export interface ApiKey {
  /** What it is called in the log: 1 to 128 characters of A-Z a-z 0-9 _ . -. */
  readonly name: string
  /** `read` looks, `operate` also starts and steers, `admin` also deletes. */
  readonly scope: 'read' | 'operate' | 'admin'
  /** SHA-256 of the key, as 64 hexadecimal digits. */
  readonly sha256: string
  /** The key prefix that it is for; on a server of another one it is refused. Default: all. */
  readonly prefix?: string
}

/** `connect({ serve })`. All are optional; docs/options.md has defaults and ranges. */
export interface ServerOptions {
  /** Port that it listens on: 0 to 65535; 0 takes a free one. Default: 9100. */
  readonly port?: number
  /** Address that the port is bound to. Any but a loopback address needs `apiKeys` or `insecure`. Default: 127.0.0.1. */
  readonly host?: string
  /** Path below which a proxy shows it, such as `/graflow`. Default: none. */
  readonly basePath?: string
  /** Who may call it: keys as `KEY` (which may do all), `read:KEY`, `operate:KEY`, `admin:KEY`, or their hashes. Default: none, all may on loopback. */
  readonly apiKeys?: readonly (string | ApiKey)[]
  /** A JSON file with a list of keys by their hashes. Default: none. */
  readonly apiKeysFile?: string
  /** Names under which callers reach it, beside localhost, IP addresses and `host`; `*` is any. Default: none. */
  readonly allowedHosts?: readonly string[]
  /** Whether it may listen beyond loopback without a key. Default: false. */
  readonly insecure?: boolean
  /** Bytes that the body of one request may have: 1024 to 1 GiB. Default: 2097152 (2 MiB). */
  readonly maxBodyBytes?: number
  /** Connections at once: 1 to 1000000. Further ones are closed. Default: 10000. */
  readonly maxConnections?: number
}

/** A control plane that listens. */
export interface ServerInfo {
  /** Where it is, such as `http://127.0.0.1:9100/`. */
  readonly url: string
  /** The port that it listens on. */
  readonly port: number
}
