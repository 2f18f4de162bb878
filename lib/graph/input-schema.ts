/** What a flow takes, as JSON Schema: that of its first task, where its schema library can say it (standardschema.dev/json-schema). */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import type { Expression } from '../flow/expression.js'

/** A larger one is left out: it is kept with each workflow. */
const MOST_BYTES = 32 * 1024
const TARGET = 'draft-2020-12'

/** What a flow takes: what fits the schema, in lists within each other as deep as `lists` says. */
export interface TakenInput {
  readonly schema: StandardSchemaV1
  readonly lists: number
  /** Nothing at all fits, too, whatever the schema says of it. */
  readonly isOptional?: boolean
}

/** As a text, and the schema that says so; undefined where nothing is known. */
export function inputSchemaOf(
  expression: Expression,
): { readonly text: string; readonly taken: TakenInput } | undefined {
  for (const taken of inputsOf(expression)) {
    let form = converted(taken.schema)
    for (let i = 0; i < taken.lists && form !== undefined; i += 1) form = { type: 'array', items: form }
    // of branches that get the same, the first that says what it takes
    if (form === undefined) continue
    const text = JSON.stringify(form)
    return Buffer.byteLength(text) > MOST_BYTES ? undefined : { text, taken }
  }
  return undefined
}

/** The schemas that all hold for what a flow is given: those of the tasks that get it as it is. */
export function inputsOf(expression: Expression): readonly TakenInput[] {
  switch (expression.kind) {
    case 'task':
      return expression.input === undefined ? [] : [{ schema: expression.input, lists: 0 }]
    case 'sequence': {
      const [first] = expression.steps
      return first === undefined ? [] : inputsOf(first)
    }
    case 'group':
      return expression.branches.flatMap(inputsOf)
    case 'each':
      return inputsOf(expression.body).map(({ schema, lists }) => ({ schema, lists: lists + 1 }))
    case 'choose':
      return inputsOf(expression.decide)
    case 'loop':
    case 'workflow':
    case 'later':
      return inputsOf(expression.body)
    case 'wait':
      return []
    default:
      return expression satisfies never
  }
}

/** A schema as JSON Schema, where its library can say it and it is not very large. */
export function jsonSchemaOf(schema: StandardSchemaV1, mostBytes = MOST_BYTES): object | undefined {
  const found = converted(schema)
  const text = found === undefined ? undefined : JSON.stringify(found)
  // read again, so that it is nothing but JSON
  return text === undefined || Buffer.byteLength(text) > mostBytes ? undefined : (JSON.parse(text) as object)
}

function converted(schema: StandardSchemaV1): object | undefined {
  try {
    const { jsonSchema } = (schema as unknown as Partial<StandardJSONSchemaV1>)['~standard'] ?? {} // it may be one, too
    const found: unknown = jsonSchema?.input({ target: TARGET })
    return typeof found === 'object' && found !== null ? found : undefined
  } catch {
    return undefined // it has something that JSON Schema has no form for
  }
}
