/**
 * What a route takes, by its schemas: parameters of its query, and members of its body. Anything else in a request is refused, in one place for all
 * routes: a misspelt filter that were ignored would mean every run.
 */
import { type RouteConfig, z } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import { didYouMean } from '../nearest.js'

type Shown = string | number

/** Refuses parameters of a query that a route does not have, numbers that are none, and a body where it has none. */
export function refusingUnknown(route: RouteConfig): MiddlewareHandler {
  const known = membersOf(route.request?.query)
  const numbers = numbersOf(route.request?.query)
  const hasBody = route.request?.body !== undefined
  return async (c, next) => {
    for (const [name, value] of new URL(c.req.url).searchParams) {
      if (!known.includes(name)) throw unknownMember('query', name, known)
      if (numbers.includes(name) && value.trim() === '') throw noNumber(name, value)
    }
    if (!hasBody && c.req.method !== 'GET' && c.req.method !== 'HEAD') await refuseBody(c)
    await next()
  }
}

/** Parameters that are numbers: read as one, an empty text is 0. */
function numbersOf(schema: unknown): readonly string[] {
  if (!(schema instanceof z.ZodObject)) return []
  return Object.entries(schema.shape).flatMap(([name, member]) => (bare(member) instanceof z.ZodNumber ? [name] : []))
}

const bare = (schema: unknown): unknown =>
  schema instanceof z.ZodOptional || schema instanceof z.ZodDefault ? bare(schema.unwrap()) : schema

function noNumber(name: string, value: string): GraflowError {
  const message = `expected a number, got ${describe(value)}`
  return new GraflowError('INVALID_OPTION', `query: ${name}: ${message}`, {
    details: { option: name, faults: [{ where: `query: ${name}`, message }] },
  })
}

/** An empty object is what some clients send where there is nothing to say. */
async function refuseBody(c: Context): Promise<void> {
  const body: unknown = await c.req.json().catch(() => undefined) // there is none
  if (body === undefined || body === null) return
  const [name] = typeof body === 'object' && !Array.isArray(body) ? Object.keys(body) : ['a value']
  if (name !== undefined) throw unknownMember('body', name, [])
}

/** @param place `query` or `body`, and where in it */
export function unknownMember(place: string, name: string, known: readonly string[]): GraflowError {
  const shown = JSON.stringify(name.slice(0, 64))
  const takes = known.length === 0 ? 'nothing is taken here' : `there are ${known.join(', ')}`
  const fault = `there is no ${shown}${didYouMean(name, known)}; ${takes}`
  return new GraflowError('INVALID_OPTION', `${place}: ${fault}`, {
    details: { option: name.slice(0, 64), known, faults: [{ where: place, message: fault }] },
  })
}

/** The members that a schema of an object has, or an object inside it at a path; none where it is no object. */
export function membersOf(schema: unknown, path: readonly PropertyKey[] = []): readonly string[] {
  const objects = objectsIn(schema, path)
  return [...new Set(objects.flatMap((object) => Object.keys(object.shape)))]
}

/** The objects that may stand at a path: of a union, those of all its forms. */
function objectsIn(schema: unknown, path: readonly PropertyKey[]): readonly z.ZodObject[] {
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => objectsIn(option, path))
  if (schema instanceof z.ZodPipe) return objectsIn(schema.out, path)
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault)
    return objectsIn(schema.unwrap(), path)
  const [first, ...rest] = path as readonly Shown[] // zod has no symbols in paths
  if (schema instanceof z.ZodArray) return first === undefined ? [] : objectsIn(schema.element, rest)
  if (!(schema instanceof z.ZodObject)) return []
  return first === undefined ? [schema] : objectsIn(schema.shape[first], rest)
}
