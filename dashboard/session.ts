/** Who looks: which server this is, and what the key of this tab may do. */
import { store } from './store.js'

export type Scope = 'read' | 'operate' | 'admin'
const SCOPES: readonly Scope[] = ['read', 'operate', 'admin']

/** What `GET /api/v1/server` answers. */
export interface ServerInfo {
  readonly keyPrefix: string
  /** Where everything is kept, without a password, such as `redis://localhost:6379`. */
  readonly store: { readonly kind: 'redis' | 'embedded'; readonly address?: string }
  readonly key: { readonly scope: Scope }
}

/** Undefined until the server has said. */
export const me = store<ServerInfo | undefined>(undefined)

/** Whether what needs a scope may be done; before the server has said, nothing may that changes something. */
export const may = (who: ServerInfo | undefined, needs: Scope): boolean =>
  who === undefined ? needs === 'read' : SCOPES.indexOf(who.key.scope) >= SCOPES.indexOf(needs)
