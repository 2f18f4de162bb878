/** What is kept with an open wait for others to see: what a person is asked, what an answer must look like, and why the last one was refused. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Prompt } from '../flow/node-options.js'
import { jsonSchemaOf } from '../graph/input-schema.js'
import { encode } from '../values/codec.js'
import type { SignalWait } from './context.js'
import { isNeeded, isSaidByForm } from './exact-form.js'
import { type Issue, issuesOf } from './schemas.js'

/** As it is stored. Without a title nobody is asked anything. */
export interface WaitAbout extends Partial<Prompt> {
  /** JSON Schema of an answer. */
  readonly form?: object
  /** What the form refuses the schema refuses, too, so that a sender may. */
  readonly isExact?: boolean
  /** So is an answer without a payload: the form does not tell. */
  readonly needsPayload?: boolean
  /** What the schema found wrong with the answer before. */
  readonly refused?: readonly Issue[]
}

/** A larger form is left out: it is kept with each wait. One that no person is shown is kept only to check answers: a waiting run stays small. */
const MOST_FORM_BYTES = 4_096
const MOST_CHECK_BYTES = 1_024

/** Made once of each schema, with its size: thousands of items of an each wait with one. */
const forms = new WeakMap<
  StandardSchemaV1,
  | { readonly form: object; readonly isExact: boolean; readonly needsPayload: boolean; readonly bytes: number }
  | undefined
>()

/** The schema of a wait as JSON Schema, where its library can say it. */
export function formOf(
  schema: StandardSchemaV1,
  prompt: Prompt | undefined,
): Pick<WaitAbout, 'form' | 'isExact' | 'needsPayload'> {
  if (!forms.has(schema)) {
    const form = jsonSchemaOf(schema, MOST_FORM_BYTES)
    const isExact = isSaidByForm(schema)
    const needsPayload = isExact && isNeeded(schema)
    const known = form && { form, isExact, needsPayload, bytes: Buffer.byteLength(JSON.stringify(form)) }
    forms.set(schema, known)
  }
  const known = forms.get(schema)
  if (known === undefined) return {}
  const { form, isExact, needsPayload, bytes } = known
  const isShown = prompt !== undefined && prompt.choices === undefined
  if (isShown ? bytes > MOST_FORM_BYTES : bytes > MOST_CHECK_BYTES || !isExact) return {}
  return { form, ...(isExact && { isExact }), ...(needsPayload && { needsPayload }) }
}

/** What to keep with a wait: what its node does not say; of a handler's wait all. */
export function aboutOf(
  {
    options: { prompt },
    schema,
    form,
    isExact,
    needsPayload,
  }: Pick<SignalWait, 'options' | 'schema' | 'form' | 'isExact' | 'needsPayload'>,
  isHeld: boolean,
  refused: readonly Issue[] | undefined,
): { readonly about?: Uint8Array } {
  const given = form && {
    form,
    ...(isExact === true && { isExact }),
    ...(needsPayload === true && { needsPayload }),
  }
  const said = given ?? (schema === undefined ? {} : formOf(schema, prompt))
  const isSaidByNode = said.form === undefined && refused === undefined && !isHeld
  const about: WaitAbout = { ...prompt, ...said, ...(refused !== undefined && { refused }) }
  return isSaidByNode || Object.keys(about).length === 0 ? {} : { about: encode(about) }
}

/** As much of what a schema found wrong as is kept with the next wait. */
const MOST_ISSUES = 5
const MOST_CHARACTERS = 200

/** What a schema found wrong, as it is kept; undefined of any other error. */
export const keptIssues = (error: unknown): readonly Issue[] | undefined =>
  issuesOf(error)
    ?.slice(0, MOST_ISSUES)
    .map(({ path, message }) => ({ path: cut(path), message: cut(message) }))

/** A text with half a letter cannot be kept. */
const cut = (text: string): string =>
  (text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1)}…`).replace(
    /\p{Surrogate}/gu,
    '\ufffd',
  )
