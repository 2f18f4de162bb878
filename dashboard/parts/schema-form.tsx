/**
 * A form made from a JSON schema: a field for each kind of value, and JSON for the rest. What is wrong stands beside its field (schema.ts says what is).
 *
 * The file is long because each kind of field stands here with its label, its hint and its faults.
 */
import type { ComponentChildren, JSX } from 'preact'
import { useId, useMemo, useState } from 'preact/hooks'
import { Button } from './buttons.js'
import { Icon } from './icons.js'
import {
  beginningOf,
  type Issue,
  type Kind,
  kindOf,
  nameOfVariant,
  resolved,
  type Schema,
  variantAt,
  variantsOf,
  withoutNull,
} from './schema.js'

/** What is filled in; `wrong`: why it cannot be sent. */
export interface Filled {
  readonly value: unknown
  readonly wrong?: string
}

type Change = (value: unknown, wrong?: string) => void

export interface SchemaFormProps {
  readonly schema: Schema
  readonly value: unknown
  readonly onChange: Change
  /** What is wrong with the value, as it is to be shown. */
  readonly issues?: readonly Issue[]
}

/** All fields of a schema. */
export function SchemaForm({ schema, value, onChange, issues = [] }: SchemaFormProps): JSX.Element {
  const { title: _, ...nameless } = schema
  return <Field root={schema} schema={nameless} {...{ value, onChange, issues }} path="" label="" isRequired />
}

interface FieldProps {
  /** What references name. */
  readonly root: Schema
  readonly schema: Schema
  readonly value: unknown
  readonly onChange: Change
  readonly issues: readonly Issue[]
  /** Of the value, as issues have it. */
  readonly path: string
  readonly label: string
  readonly isRequired: boolean
}

const FIELDSETS: ReadonlySet<Kind> = new Set<Kind>(['object', 'list', 'tuple', 'variants'])

function Field(props: FieldProps): JSX.Element | null {
  const { root, value, issues, path, label, isRequired } = props
  const schema = useMemo(() => resolved(props.schema, root), [props.schema, root])
  const kind = kindOf(schema)
  const name = schema.title ?? label
  const inner = { ...props, schema, label: name }
  if (kind === 'constant') return null
  if (kind === 'nullable') return <Nullable {...inner} />
  const isLeftOut = !isRequired && value === undefined
  if (!FIELDSETS.has(kind)) return <Leaf {...inner} kind={kind} />
  const own = issues.filter((issue) => issue.path === path).map(({ message }) => message)
  return (
    <fieldset class="fields">
      {name !== '' && (
        <legend>
          {name}
          {!isRequired && <span class="faint"> optional</span>}
        </legend>
      )}
      {schema.description !== undefined && <p class="hint">{schema.description}</p>}
      {own.map((message) => (
        <span key={message} class="wrong" role="alert">
          {message}
        </span>
      ))}
      {isLeftOut ? (
        <div>
          <Button look="quiet" onClick={() => props.onChange(beginningOf(schema, root) ?? emptyOf(kind))}>
            Fill in {name === '' ? 'it' : name}
          </Button>
        </div>
      ) : (
        <>
          <Inside {...inner} kind={kind} />
          {!isRequired && (
            <div>
              <Button look="quiet" onClick={() => props.onChange(undefined)}>
                Leave out {name === '' ? 'it' : name}
              </Button>
            </div>
          )}
        </>
      )}
    </fieldset>
  )
}

const emptyOf = (kind: Kind): unknown => (kind === 'object' ? {} : kind === 'variants' ? undefined : [])

function Inside(props: FieldProps & { readonly kind: Kind }): JSX.Element {
  switch (props.kind) {
    case 'object':
      return <Properties {...props} />
    case 'variants':
      return <Variants {...props} />
    default:
      return <Items {...props} />
  }
}

const under = (path: string, key: string | number): string => (path === '' ? String(key) : `${path}.${key}`)

/** Remembers of several fields which cannot be sent. */
function useWrong(): (key: string, why: string | undefined) => string | undefined {
  const [wrong] = useState(() => new Map<string, string>())
  return (key, why) => {
    if (why === undefined) wrong.delete(key)
    else wrong.set(key, why)
    return [...wrong.values()][0]
  }
}

function Properties({ root, schema, value, onChange, issues, path }: FieldProps): JSX.Element {
  const firstWrong = useWrong()
  const held = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  return (
    <>
      {Object.entries(schema.properties ?? {}).map(([key, one]) => (
        <Field
          key={key}
          {...{ root, issues }}
          schema={one}
          path={under(path, key)}
          label={key}
          value={held[key]}
          isRequired={schema.required?.includes(key) === true}
          onChange={(next, why) => {
            const { [key]: _, ...rest } = held
            onChange(next === undefined ? rest : { ...held, [key]: next }, firstWrong(key, why))
          }}
        />
      ))}
    </>
  )
}

function Items({
  root,
  schema,
  value,
  onChange,
  issues,
  path,
  kind,
}: FieldProps & { readonly kind: Kind }): JSX.Element {
  const held: readonly unknown[] = Array.isArray(value) ? value : []
  const firstWrong = useWrong()
  const [keys, setKeys] = useState<readonly number[]>(() => held.map((_, i) => i))
  const [next, setNext] = useState(held.length)
  const item = typeof schema.items === 'object' ? schema.items : {}
  const isFixed = kind === 'tuple'
  const schemas = isFixed ? (schema.prefixItems ?? []) : held.map(() => item)
  const change = (i: number, one: unknown, why: string | undefined): void => {
    const all = [...held]
    all[i] = one ?? null
    onChange(all, firstWrong(String(keys[i] ?? i), why))
  }
  const remove = (i: number): void => {
    const wrong = firstWrong(String(keys[i] ?? i), undefined)
    setKeys(keys.filter((_, at) => at !== i))
    onChange(
      held.filter((_, at) => at !== i),
      wrong,
    )
  }
  const add = (): void => {
    setKeys([...held.map((_, i) => keys[i] ?? i), next])
    setNext(next + 1)
    onChange([...held, beginningOf(item, root) ?? null])
  }
  return (
    <>
      {schemas.map((one, i) => (
        <div class="field-item" key={keys[i] ?? i}>
          <Field
            {...{ root, issues }}
            schema={one}
            path={under(path, i)}
            label={`${i + 1}`}
            value={held[i] ?? undefined}
            isRequired
            onChange={(value, why) => change(i, value, why)}
          />
          {!isFixed && (
            <Button
              look="quiet"
              icon="trash"
              label={`Remove item ${i + 1}`}
              title="Remove it"
              onClick={() => remove(i)}
            />
          )}
        </div>
      ))}
      {!isFixed && (
        <div>
          <Button
            look="quiet"
            icon="start"
            isDisabled={schema.maxItems !== undefined && held.length >= schema.maxItems}
            onClick={add}
          >
            Add one
          </Button>
        </div>
      )}
    </>
  )
}

function Variants(props: FieldProps): JSX.Element {
  const { root, schema, value, onChange } = props
  const id = useId()
  const [number, setNumber] = useState(() => variantAt(schema, value, root))
  const variants = variantsOf(schema)
  const variant = variants[number] ?? {}
  return (
    <>
      <div class="field">
        <label for={id}>Kind</label>
        <select
          id={id}
          class="select"
          value={String(number)}
          onChange={(event) => {
            const to = Number(event.currentTarget.value)
            setNumber(to)
            onChange(beginningOf(variants[to], root))
          }}
        >
          {variants.map((one, i) => (
            <option key={i} value={String(i)}>
              {nameOfVariant(one, root, i)}
            </option>
          ))}
        </select>
      </div>
      <Field key={number} {...props} schema={withoutName(variant, root)} label="value" isRequired />
    </>
  )
}

const withoutName = (variant: Schema, root: Schema): Schema => {
  const { title: _, ...nameless } = resolved(variant, root)
  return kindOf(nameless) === 'object' ? { ...nameless, title: '' } : nameless
}

function Nullable(props: FieldProps): JSX.Element {
  const { root, schema, value, onChange, label, isRequired } = props
  const inner = resolved(withoutNull(schema), root)
  const isNull = value === null || (value === undefined && isRequired)
  return (
    <div class="field-nullable">
      <label class="check is-named">
        <input
          type="checkbox"
          checked={!isNull && value !== undefined}
          onChange={(event) =>
            onChange(
              event.currentTarget.checked
                ? (beginningOf(inner, root) ?? firstOf(inner))
                : isRequired
                  ? null
                  : undefined,
            )
          }
        />
        {label === '' ? 'Has a value' : label}{' '}
        <span class="faint">{isRequired ? 'or nothing (null)' : 'optional'}</span>
      </label>
      {!isNull && value !== undefined && <Field {...props} schema={{ ...inner, title: label }} isRequired />}
    </div>
  )
}

/** Something to begin with, so that its field is there. */
const firstOf = (schema: Schema): unknown => {
  const kind = kindOf(schema)
  return kind === 'text' ? '' : kind === 'number' ? (schema.minimum ?? 0) : kind === 'choice' ? schema.enum?.[0] : {}
}

function Leaf(props: FieldProps & { readonly kind: Kind }): JSX.Element {
  const { schema, issues, path, label, isRequired, kind } = props
  const id = useId()
  const hint = hintOf(schema, kind)
  // of JSON without fields also what is wrong inside it
  const own = issues.filter(
    (issue) => issue.path === path || (kind === 'json' && issue.path.startsWith(`${path}${path === '' ? '' : '.'}`)),
  )
  const described = [...(hint === '' ? [] : [`${id}-hint`]), ...(own.length === 0 ? [] : [`${id}-wrong`])].join(' ')
  const said: Said = {
    id,
    'aria-describedby': described === '' ? undefined : described,
    'aria-invalid': own.length > 0,
    'aria-required': isRequired,
  }
  const isCheck = kind === 'boolean' && isRequired
  return (
    <div class="field">
      {!isCheck && (
        <label for={id}>
          {label === '' ? 'Value' : label}
          {!isRequired && <span class="faint"> optional</span>}
        </label>
      )}
      <Control {...props} said={said} />
      {hint !== '' && (
        <span class="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {own.length > 0 && (
        <span class="wrong is-marked" id={`${id}-wrong`}>
          <Icon name="warning" size={12} />
          {own.map((issue) => (issue.path === path ? issue.message : `${issue.path}: ${issue.message}`)).join('; ')}
        </span>
      )}
    </div>
  )
}

/** What it is, and what it may be. */
function hintOf({ description, minimum, maximum, minLength, maxLength, format }: Schema, kind: Kind): string {
  const range = (low: number | undefined, high: number | undefined, what: string): readonly string[] => {
    if (low !== undefined && high !== undefined) return [`${low} to ${high}${what}`]
    if (low !== undefined) return [`at least ${low}${what}`]
    return high === undefined ? [] : [`at most ${high}${what}`]
  }
  // a safe integer has such bounds
  const bound = (one: number | undefined): number | undefined =>
    Math.abs(one ?? 0) >= Number.MAX_SAFE_INTEGER ? undefined : one
  return [
    ...(description === undefined ? [] : [description]),
    ...(kind === 'number' ? range(bound(minimum), bound(maximum), '') : []),
    ...(kind === 'text' && (maxLength !== undefined || (minLength ?? 0) > 1)
      ? range(minLength, maxLength, ' letters')
      : []),
    ...(kind === 'text' && format === 'date-time' ? ['such as 2026-11-30T12:00:00Z'] : []),
  ].join(' · ')
}

interface Said {
  readonly id: string
  readonly 'aria-describedby': string | undefined
  readonly 'aria-invalid': boolean
  readonly 'aria-required': boolean
}

function Control(props: FieldProps & { readonly kind: Kind; readonly said: Said }): JSX.Element {
  const { schema, value, onChange, label, isRequired, kind, said } = props
  switch (kind) {
    case 'choice':
      return <Choice {...{ said, value, onChange }} choices={schema.enum ?? []} none={isRequired ? 'Choose' : 'None'} />
    case 'boolean':
      if (!isRequired)
        return <Choice {...{ said, value, onChange }} choices={[true, false]} words={['yes', 'no']} none="None" />
      return (
        <label class="check is-named">
          <input
            type="checkbox"
            {...said}
            aria-required={undefined}
            checked={value === true}
            onChange={(event) => onChange(event.currentTarget.checked)}
          />
          {label}
        </label>
      )
    case 'number':
      return <NumberInput {...{ schema, said, value, onChange }} />
    case 'text':
      return <TextInput {...{ schema, said, value, onChange, isRequired }} />
    default:
      return <JsonArea {...said} value={value} onChange={onChange} />
  }
}

function Choice({
  said,
  value,
  onChange,
  choices,
  words,
  none,
}: {
  readonly said: Said
  readonly value: unknown
  readonly onChange: Change
  readonly choices: readonly unknown[]
  readonly words?: readonly string[]
  readonly none: string
}): JSX.Element {
  return (
    <select
      class="select"
      {...said}
      value={String(choices.indexOf(value))}
      onChange={(event) => onChange(choices[Number(event.currentTarget.value)])}
    >
      <option value="-1">{none}</option>
      {choices.map((one, i) => (
        <option key={i} value={String(i)}>
          {words?.[i] ?? String(one)}
        </option>
      ))}
    </select>
  )
}

interface InputProps {
  readonly schema: Schema
  readonly said: Said
  readonly value: unknown
  readonly onChange: Change
}

function NumberInput({ schema, said, value, onChange }: InputProps): JSX.Element {
  const { minimum, maximum, type, multipleOf } = schema
  return (
    <input
      class="input"
      type="number"
      {...said}
      min={minimum}
      max={maximum}
      step={multipleOf ?? (type === 'integer' ? 1 : 'any')}
      value={typeof value === 'number' ? String(value) : ''}
      onInput={({ currentTarget: { value: text, valueAsNumber, validity } }) =>
        validity.badInput
          ? onChange(undefined, 'This is no number.')
          : onChange(text === '' ? undefined : valueAsNumber)
      }
    />
  )
}

const INPUT_MODES: Readonly<Record<string, 'email' | 'url'>> = { email: 'email', uri: 'url' }
/** A text that may be longer than this gets more than one line. */
const LONG_TEXT = 200

function TextInput({
  schema,
  said,
  value,
  onChange,
  isRequired,
}: InputProps & { readonly isRequired: boolean }): JSX.Element {
  const { maxLength = 0, format = '' } = schema
  const shown = typeof value === 'string' ? value : ''
  const change = ({ currentTarget }: { readonly currentTarget: { readonly value: string } }): void =>
    onChange(currentTarget.value === '' && !isRequired ? undefined : currentTarget.value)
  if (maxLength > LONG_TEXT) return <textarea class="area is-prose" rows={3} {...said} value={shown} onInput={change} />
  if (format === 'date') return <input class="input" type="date" {...said} value={shown} onInput={change} />
  return (
    <input
      class="input"
      type="text"
      inputMode={INPUT_MODES[format] ?? 'text'}
      {...said}
      spellcheck={false}
      autoComplete="off"
      value={shown}
      onInput={change}
    />
  )
}

interface JsonAreaProps {
  readonly id?: string
  readonly value: unknown
  readonly onChange: Change
  readonly 'aria-describedby'?: string | undefined
  readonly 'aria-label'?: string
  readonly 'aria-invalid'?: boolean
  readonly 'aria-required'?: boolean
  readonly children?: ComponentChildren
}

/** Brings the first field that is wrong to people, once it is drawn as such. */
export function focusWrong(form: EventTarget | null): void {
  requestAnimationFrame(() => {
    if (form instanceof HTMLElement) form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus()
  })
}

/** JSON as text; what is none says where. Empty is no value. */
export function JsonArea({ value, onChange, 'aria-invalid': isInvalid = false, ...rest }: JsonAreaProps): JSX.Element {
  const [text, setText] = useState(() => (value === undefined ? '' : JSON.stringify(value, undefined, 2)))
  const [wrong, setWrong] = useState<string | undefined>(undefined)
  const id = useId()
  return (
    <>
      <textarea
        class="area"
        {...rest}
        aria-invalid={isInvalid || wrong !== undefined}
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
