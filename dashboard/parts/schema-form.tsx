/**
 * A form made from a JSON schema: fields for what it knows, and JSON for the rest. The server has the last word on what fits; here only what could not be
 * sent is refused.
 */
import type { JSX } from 'preact'
import { useId, useState } from 'preact/hooks'

/** As much of JSON Schema as there are fields for. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly title?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly anyOf?: readonly Schema[]
}

/** What is filled in; `wrong`: why it cannot be sent. */
export interface Filled {
  readonly value: unknown
  readonly wrong?: string
}

type Kind = 'text' | 'number' | 'boolean' | 'choice' | 'object' | 'json'

function kindOf(schema: Schema): Kind {
  if (schema.enum !== undefined && schema.enum.every((one) => ['string', 'number', 'boolean'].includes(typeof one)))
    return 'choice'
  if (schema.anyOf !== undefined) return 'json'
  switch (schema.type) {
    case 'string':
      return 'text'
    case 'number':
    case 'integer':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'object':
      return schema.properties === undefined ? 'json' : 'object'
    default:
      return 'json'
  }
}

/** What a form begins with. */
export function beginningOf(schema: Schema | undefined): unknown {
  if (schema === undefined) return undefined
  if (schema.default !== undefined) return schema.default
  if (schema.const !== undefined) return schema.const
  if (kindOf(schema) === 'object')
    return Object.fromEntries(
      Object.entries(schema.properties ?? {}).flatMap(([key, one]) => {
        const value = beginningOf(one)
        return value === undefined ? [] : [[key, value]]
      }),
    )
  if (kindOf(schema) === 'boolean') return false
  return undefined
}

const INPUT_TYPES: Readonly<Record<string, 'email' | 'url'>> = { email: 'email', uri: 'url' }

interface FieldProps {
  readonly schema: Schema
  readonly value: unknown
  readonly onChange: (value: unknown, wrong?: string) => void
  readonly label: string
  readonly isRequired?: boolean
}

export function SchemaField({ schema, value, onChange, label, isRequired = false }: FieldProps): JSX.Element {
  const id = useId()
  const kind = kindOf(schema)
  const name = schema.title ?? label
  const hint = schema.description
  if (kind === 'object') return <ObjectFields {...{ schema, value, onChange }} label={name} />
  const said = {
    id,
    'aria-describedby': hint === undefined ? undefined : `${id}-hint`,
    required: isRequired,
  }
  return (
    <div class="field">
      {kind !== 'boolean' && (
        <label for={id}>
          {name}
          {!isRequired && <span class="faint"> optional</span>}
        </label>
      )}
      {kind === 'choice' ? (
        <select
          class="select"
          {...said}
          value={String((schema.enum ?? []).indexOf(value))}
          onChange={(event) => onChange((schema.enum ?? [])[Number(event.currentTarget.value)])}
        >
          <option value="-1">{isRequired ? 'Choose' : 'None'}</option>
          {(schema.enum ?? []).map((one, i) => (
            <option key={i} value={String(i)}>
              {String(one)}
            </option>
          ))}
        </select>
      ) : kind === 'boolean' ? (
        <label class="check is-named">
          <input
            type="checkbox"
            {...said}
            required={false}
            checked={value === true}
            onChange={(event) => onChange(event.currentTarget.checked)}
          />
          {name}
        </label>
      ) : kind === 'number' ? (
        <input
          class="input"
          type="number"
          {...said}
          min={schema.minimum}
          max={schema.maximum}
          step={schema.type === 'integer' ? 1 : 'any'}
          value={typeof value === 'number' ? String(value) : ''}
          onInput={(event) =>
            onChange(event.currentTarget.value === '' ? undefined : event.currentTarget.valueAsNumber)
          }
        />
      ) : kind === 'text' ? (
        <input
          class="input"
          type="text"
          inputMode={INPUT_TYPES[schema.format ?? ''] ?? 'text'}
          {...said}
          minLength={schema.minLength}
          maxLength={schema.maxLength}
          pattern={schema.pattern}
          spellcheck={false}
          value={typeof value === 'string' ? value : ''}
          onInput={(event) =>
            onChange(event.currentTarget.value === '' && !isRequired ? undefined : event.currentTarget.value)
          }
        />
      ) : (
        <JsonArea {...said} value={value} onChange={onChange} />
      )}
      {hint !== undefined && (
        <span class="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
    </div>
  )
}

function ObjectFields({ schema, value, onChange, label }: FieldProps): JSX.Element {
  const [wrong, setWrong] = useState<Readonly<Record<string, string>>>({})
  const held = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  return (
    <fieldset class="fields">
      {label !== '' && <legend>{label}</legend>}
      {Object.entries(schema.properties ?? {}).map(([key, one]) => (
        <SchemaField
          key={key}
          schema={one}
          label={key}
          value={held[key]}
          isRequired={schema.required?.includes(key) === true}
          onChange={(next, why) => {
            const { [key]: _, ...others } = wrong
            const all = why === undefined ? others : { ...others, [key]: why }
            setWrong(all)
            const { [key]: __, ...rest } = held
            onChange(next === undefined ? rest : { ...held, [key]: next }, Object.values(all)[0])
          }}
        />
      ))}
    </fieldset>
  )
}

interface JsonAreaProps {
  readonly id?: string
  readonly value: unknown
  readonly onChange: (value: unknown, wrong?: string) => void
  readonly 'aria-describedby'?: string | undefined
  readonly 'aria-label'?: string
}

/** JSON as text; what is none says where. Empty is no value. */
export function JsonArea({ value, onChange, ...rest }: JsonAreaProps): JSX.Element {
  const [text, setText] = useState(() => (value === undefined ? '' : JSON.stringify(value, undefined, 2)))
  const [wrong, setWrong] = useState<string | undefined>(undefined)
  const id = useId()
  return (
    <>
      <textarea
        class="area"
        {...rest}
        aria-invalid={wrong !== undefined}
        aria-errormessage={wrong === undefined ? undefined : `${id}-wrong`}
        spellcheck={false}
        rows={6}
        value={text}
        placeholder='JSON, such as { "id": "42" }'
        onInput={(event) => {
          const next = event.currentTarget.value
          setText(next)
          const { value, wrong } = jsonOf(next)
          setWrong(wrong)
          onChange(value, wrong)
        }}
      />
      {wrong !== undefined && (
        <span class="wrong" id={`${id}-wrong`}>
          {wrong}
        </span>
      )}
    </>
  )
}

/** What a text is as JSON. */
export function jsonOf(text: string): Filled {
  if (text.trim() === '') return { value: undefined }
  try {
    return { value: JSON.parse(text) as unknown }
  } catch (error) {
    return { value: undefined, wrong: `This is no JSON: ${error instanceof Error ? error.message : String(error)}` }
  }
}
