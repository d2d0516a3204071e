/** JSON with the members of objects in order: equal values give equal text. */
import { configure } from 'safe-stable-stringify'

const stringify = configure({ bigint: false, circularValue: Error, deterministic: true })

/** The canonical JSON of a value; `null` for what JSON cannot carry. */
export function canonicalText(value: unknown): string {
  return stringify(value) ?? 'null'
}

/** The canonical JSON in UTF-8. */
export function canonicalBytes(value: unknown): Uint8Array {
  return Buffer.from(canonicalText(value), 'utf8')
}

/** Reads what `canonicalBytes` wrote. */
export function parseBytes(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
}
