/**
 * Positions: how far a log, a view or an answer has come, as a vector of end offsets by stream and
 * partition. Vectors are only partially ordered. Outside a process a position is an opaque token.
 */
import { coreErrors } from './errors.ts'

/** End offsets (the offset after the last record) by `stream/partition`. A missing entry counts as 0. */
export type Position = ReadonlyMap<string, number>

/** The name of one partition in a position. */
export function partitionName(stream: string, partition: number): string {
  return `${stream}/${partition}`
}

/** True when `position` is at or after `target` in every partition that `target` names. */
export function hasReached(position: Position, target: Position): boolean {
  for (const [name, offset] of target) if ((position.get(name) ?? 0) < offset) return false
  return true
}

/** The least position at or after both. */
export function joinPositions(a: Position, b: Position): Position {
  const joined = new Map(a)
  for (const [name, offset] of b) if (offset > (joined.get(name) ?? 0)) joined.set(name, offset)
  return joined
}

const VERSION = 'p1'

/** Pattern of tokens. One that fits it and was never given out is refused as POSITION_INVALID. */
export const POSITION_PATTERN = `^${VERSION}\\.[A-Za-z0-9_-]*$`

/** The token of a position: text safe in a URL and a header. Equal positions give equal tokens. */
export function encodePosition(position: Position): string {
  const parts = [...position].filter(([, offset]) => offset > 0)
  parts.sort((a, b) => (a[0] < b[0] ? -1 : 1))
  const text = parts.map(([name, offset]) => `${name}=${offset.toString(36)}`).join(';')
  return `${VERSION}.${btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}`
}

/** Reads a token; throws POSITION_INVALID for anything that `encodePosition` did not make. */
export function decodePosition(token: string): Position {
  const position = new Map<string, number>()
  const refuse = (reason: string): never => {
    throw coreErrors.create('POSITION_INVALID', { reason })
  }
  if (token.length > 64 * 1024) refuse('it is longer than 64 KiB')
  if (!token.startsWith(`${VERSION}.`)) refuse(`it does not start with "${VERSION}."`)
  let text = ''
  try {
    text = atob(
      token
        .slice(VERSION.length + 1)
        .replaceAll('-', '+')
        .replaceAll('_', '/'),
    )
  } catch {
    refuse('it is not base64url')
  }
  for (const part of text === '' ? [] : text.split(';')) {
    const match = /^([a-z0-9][a-z0-9._~-]*\/\d{1,5})=([0-9a-z]{1,11})$/.exec(part)
    if (match === null) return refuse('an entry has the wrong form')
    const offset = parseInt(match[2] as string, 36)
    if (!Number.isSafeInteger(offset)) refuse('an offset is too large')
    position.set(match[1] as string, offset)
  }
  return position
}
