/** Workers in words: which of them live, what they have in hand, and how one is started where there is none. */
import type { JSX } from 'preact'
import { plural } from '../format.js'
import { Copy } from '../parts/text.js'
import { me, type ServerInfo } from '../session.js'
import { useStore } from '../store.js'
import type { Worker } from '../wire.js'

export const isLive = ({ state }: Pick<Worker, 'state'>): boolean =>
  state !== 'stale' && state !== 'dead' && state !== 'stopped'

type Held = Pick<Worker, 'inFlight' | 'drives'>

/** `2 branches, 1 run`; where it has nothing, `0 branches`. */
export const heldText = ({ inFlight, drives }: Held): string =>
  [
    ...(inFlight > 0 || drives === 0 ? [plural(inFlight, 'branch', 'branches')] : []),
    ...(drives > 0 ? [plural(drives, 'run')] : []),
  ].join(', ')

/** Of several workers together. */
export const heldBy = (workers: readonly Held[]): Held => ({
  inFlight: workers.reduce((sum, { inFlight }) => sum + inFlight, 0),
  drives: workers.reduce((sum, { drives }) => sum + drives, 0),
})

/** The flags with which a command reaches the store of this server. */
export const connectionFlags = (who: ServerInfo | undefined): string =>
  who?.store.address === undefined ? '' : ` \\\n  --redis-url ${who.store.address} --redis-key-prefix ${who.keyPrefix}`

export const workerCommand = (who: ServerInfo | undefined): string =>
  `npx graflow-worker --tasks ./tasks.mjs${connectionFlags(who)}`

/** A command, to be copied by a click. */
export function Command({ command }: { readonly command: string }): JSX.Element {
  return (
    <div class="command">
      <code>{command}</code>
      <Copy text={command} what="the command" />
    </div>
  )
}

/** What to do where no worker is there. A server with an embedded store works by itself. */
export function StartWorker(): JSX.Element {
  const who = useStore(me)
  if (who?.store.kind === 'embedded') return <p class="soft">The process of this server does the work itself.</p>
  return (
    <div class="stack">
      <p class="soft">Start one beside your tasks:</p>
      <Command command={workerCommand(who)} />
    </div>
  )
}
