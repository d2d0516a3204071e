/**
 * Keys as a fold over the stream `access.keys`. The key of a record is the id of the key that it is
 * about; records of one key are in order, since the stream has one partition.
 */
import type { LogRecord } from '@millrace/log'
import type { KeyScope } from './key-text.ts'
import { createRateBucket, type RateBucket, type RateLimit } from './rate-limit.ts'

/** The stream of keys. */
export const KEYS_STREAM = 'access.keys'

/** A browser of any origin, and callers that are no browsers. */
export const ANY_ORIGIN = '*'

/** Data of `key.created`. */
export interface KeyCreated {
  readonly scope: KeyScope
  readonly name: string
  /** Origins of the pages that may use it; for public keys. */
  readonly origins: readonly string[]
  readonly limit: RateLimit | null
  /** SHA-256 of its text, in base64url. */
  readonly hash: string
}

/** Data of `key.rotated`. */
export interface KeyRotated {
  readonly hash: string
  /** When the secrets before it end. */
  readonly previousUntilMs: number
}

/** A key, in the view of this process. */
export interface Key {
  readonly id: string
  readonly scope: KeyScope
  readonly name: string
  readonly origins: readonly string[]
  readonly limit: RateLimit | undefined
  readonly createdMs: number
  /** The newest secret first; the others end. */
  secrets: readonly { readonly hash: Buffer; readonly untilMs: number }[]
  rotatedMs: number | undefined
  revokedMs: number | undefined
  /** The last use that this process or the log knows of. */
  usedMs: number | undefined
  /** The last use in the log. */
  readonly savedUse: { ms: number }
  /** Undefined without a limit. Of this process alone. */
  readonly bucket: RateBucket | undefined
}

/** Takes a record into the view. Types that a later version adds are passed over. */
export function foldKey(keys: Map<string, Key>, record: LogRecord): void {
  const { type, key: id, eventTimeMs: atMs } = record
  if (type === 'key.created') {
    keys.set(id, createdKey(id, atMs, record.data as KeyCreated))
    return
  }
  const key = keys.get(id)
  if (key === undefined) return
  if (type === 'key.rotated') {
    const { hash, previousUntilMs } = record.data as KeyRotated
    const ending = key.secrets.map(secret => ({
      ...secret,
      untilMs: Math.min(secret.untilMs, previousUntilMs),
    }))
    key.secrets = [secretOf(hash), ...ending.filter(({ untilMs }) => untilMs > atMs)]
    key.rotatedMs = atMs
  } else if (type === 'key.revoked') {
    key.revokedMs ??= atMs
    key.secrets = []
  } else if (type === 'key.used') {
    key.savedUse.ms = Math.max(key.savedUse.ms, atMs)
    key.usedMs = Math.max(key.usedMs ?? 0, atMs)
  }
}

function createdKey(id: string, createdMs: number, data: KeyCreated): Key {
  const limit = data.limit ?? undefined
  return {
    id,
    scope: data.scope,
    name: data.name,
    origins: data.origins,
    limit,
    createdMs,
    secrets: [secretOf(data.hash)],
    rotatedMs: undefined,
    revokedMs: undefined,
    usedMs: undefined,
    savedUse: { ms: 0 },
    bucket: limit === undefined ? undefined : createRateBucket(limit),
  }
}

function secretOf(hash: string): { hash: Buffer; untilMs: number } {
  return { hash: Buffer.from(hash, 'base64url'), untilMs: Infinity }
}
