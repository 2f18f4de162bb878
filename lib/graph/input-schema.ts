/** What a flow takes, as JSON Schema: that of its first task, where its schema library can say it (standardschema.dev/json-schema). */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import type { Expression } from '../flow/expression.js'

/** A larger one is left out: it is kept with each workflow. */
const MOST_CHARACTERS = 32 * 1024
const TARGET = 'draft-2020-12'

/** As a text; undefined where nothing is known. */
export function inputSchemaOf(expression: Expression): string | undefined {
  const schema = schemaOf(expression)
  const text = schema === undefined ? undefined : JSON.stringify(schema)
  return text === undefined || text.length > MOST_CHARACTERS ? undefined : text
}

function schemaOf(expression: Expression): object | undefined {
  switch (expression.kind) {
    case 'task':
      return expression.input === undefined ? undefined : converted(expression.input)
    case 'sequence': {
      const [first] = expression.steps
      return first === undefined ? undefined : schemaOf(first)
    }
    case 'group': {
      // all branches get the same: the first that says what it takes
      for (const branch of expression.branches) {
        const found = schemaOf(branch)
        if (found !== undefined) return found
      }
      return undefined
    }
    case 'each': {
      const items = schemaOf(expression.body)
      return items === undefined ? undefined : { type: 'array', items }
    }
    case 'choose':
      return schemaOf(expression.decide)
    case 'loop':
    case 'workflow':
    case 'later':
      return schemaOf(expression.body)
    case 'wait':
      return undefined
    default:
      return expression satisfies never
  }
}

/** A schema as JSON Schema, where its library can say it and it is not very large. */
export function jsonSchemaOf(schema: StandardSchemaV1, mostCharacters = MOST_CHARACTERS): object | undefined {
  const found = converted(schema)
  const text = found === undefined ? undefined : JSON.stringify(found)
  // read again, so that it is nothing but JSON
  return text === undefined || text.length > mostCharacters ? undefined : (JSON.parse(text) as object)
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
