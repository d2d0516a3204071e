/**
 * Values of files to values of fields, by the field's schema. Nothing is guessed: what does not
 * fit is refused with the column, the value and what was expected.
 */
import type { Field, JsonSchema } from '@millrace/core'
import { TIME_FORMATS, readTimeText, type TimeFormat } from './time.ts'

/** A value that does not fit, and why. */
export class Unfit {
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

/** Gives the field's value, undefined when the row has none, or why it does not fit. */
export type Converter = (value: unknown) => unknown

/** How the values of a file are written. */
export interface ConvertOptions {
  /** Between the values of a list. */
  readonly listSeparator: string
  /** Of columns that are moments. */
  readonly timeFormat?: TimeFormat
  /** Fractions stand behind a comma, thousands behind points: `1.234,50`. */
  readonly hasDecimalComma?: boolean
}

const SHOWN_MAX = 40
const INTEGER = /^[+-]?\d{1,16}(\.0+)?$/
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/
const DECIMAL_COMMA = /^[+-]?(\d{1,3}(\.\d{3})+|\d*)(,\d*)?$/
const TRUE = new Set(['true', 't', 'yes', 'y', '1'])
const FALSE = new Set(['false', 'f', 'no', 'n', '0'])

/** The converter of a field. */
export function createConverter(field: Field<unknown>, options: ConvertOptions): Converter {
  const { schema } = field
  if (schema['type'] === 'array') return listConverter(field, options)
  const single =
    field.ref === undefined ? scalarConverter(schema, options) : idConverter(schema, options)
  const isText = schema['type'] === 'string' && field.ref === undefined
  return value => {
    if (value === undefined || value === null) return undefined
    if (value === '' && (field.isOptional || !isText)) {
      return field.isOptional ? undefined : new Unfit('it is empty')
    }
    return single(value)
  }
}

/** True when the field holds moments. */
export function isMoment(schema: JsonSchema): boolean {
  return schema['type'] === 'integer' && schema['maximum'] === 8.64e15
}

function listConverter(field: Field<unknown>, options: ConvertOptions): Converter {
  const items = field.schema['items'] as JsonSchema
  const single =
    field.ref === undefined ? scalarConverter(items, options) : idConverter(items, options)
  return value => {
    if (value === undefined || value === null || value === '') {
      return field.isOptional ? undefined : []
    }
    const parts = typeof value === 'string' ? splitList(value, options.listSeparator) : value
    if (!Array.isArray(parts)) return new Unfit(`${shown(value)} is not a list`)
    const list: unknown[] = []
    for (const part of parts) {
      const converted = single(part)
      if (converted instanceof Unfit) return converted
      list.push(converted)
    }
    return list
  }
}

const ID_MAX = 256

/** Ids with reasons that say more than a pattern. */
function idConverter(schema: JsonSchema, options: ConvertOptions): Converter {
  const single = scalarConverter(schema, options)
  return value => {
    const text = single(value)
    if (typeof text !== 'string') return text
    if (text === '') return new Unfit('it is empty')
    if (text.length > ID_MAX) {
      return new Unfit(`${shown(text)} has ${text.length} characters, an id at most ${ID_MAX}`)
    }
    return hasControls(text) ? new Unfit(`${shown(text)} holds control characters`) : text
  }
}

function hasControls(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0x20 || unit === 0x7f) return true
  }
  return false
}

function splitList(text: string, separator: string): unknown {
  if (text.startsWith('[') && text.endsWith(']')) {
    try {
      return JSON.parse(text)
    } catch {
      // Brackets may also be part of ordinary text: it is split like any other.
    }
  }
  return text
    .split(separator)
    .map(part => part.trim())
    .filter(part => part !== '')
}

function scalarConverter(schema: JsonSchema, options: ConvertOptions): Converter {
  if (isMoment(schema)) return momentConverter(options.timeFormat ?? 'iso')
  switch (schema['type']) {
    case 'integer':
      return value => {
        const text = typeof value === 'string' ? value.trim() : value
        if (typeof text === 'string' && INTEGER.test(text)) return Number(text)
        return typeof text === 'number' ? text : new Unfit(`${shown(value)} is not a whole number`)
      }
    case 'number':
      return numberConverter(options.hasDecimalComma ?? false)
    case 'boolean':
      return value => {
        if (typeof value === 'boolean') return value
        const text = textOf(value).trim().toLowerCase()
        if (TRUE.has(text)) return true
        return FALSE.has(text) ? false : new Unfit(`${shown(value)} is neither true nor false`)
      }
    case 'string':
      return value => {
        if (typeof value === 'string') return value
        if (typeof value === 'number' || typeof value === 'boolean') return textOf(value)
        return new Unfit(`${shown(value)} is not text`)
      }
    default:
      return value => value
  }
}

function numberConverter(hasComma: boolean): Converter {
  return value => {
    if (typeof value === 'number') return value
    const text = typeof value === 'string' ? value.trim() : ''
    const isCommaFine = DECIMAL_COMMA.test(text)
    const plain = hasComma && isCommaFine ? text.replaceAll('.', '').replace(',', '.') : text
    if ((isCommaFine || !hasComma) && DECIMAL.test(plain)) return Number(plain)
    const hint = isCommaFine && text !== '' ? '; --decimal-comma reads it as one' : ''
    return new Unfit(`${shown(value)} is not a number${hint}`)
  }
}

function momentConverter(format: TimeFormat): Converter {
  return value => {
    const ms = readTimeText(textOf(value), format)
    return ms ?? new Unfit(`${shown(value)} is not a time (${TIME_FORMATS[format]})`)
  }
}

/** Of a scalar. What is none has no text: `String` throws at an object with a `toString` of its own. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}

/** A value as messages show it. */
export function shown(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : (JSON.stringify(value) ?? '')
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text
}
