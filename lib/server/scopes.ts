/** What a key may do. Each route says which scope it needs, in one place that the check of keys and the OpenAPI document both read. */

/** What keys may do, each also what those before it may. */
export const SCOPES = Object.freeze(['read', 'operate', 'admin'] as const)

/** `read` looks, `operate` starts and steers, `admin` deletes. */
export type Scope = (typeof SCOPES)[number]

/** Whether a key with the scope `has` may do what needs the scope `needed`. */
export const covers = (has: Scope, needed: Scope): boolean => SCOPES.indexOf(has) >= SCOPES.indexOf(needed)
