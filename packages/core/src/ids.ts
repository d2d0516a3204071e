/**
 * Event ids that sort by time (RFC 9562). Clients make version 7 (milliseconds, then random bits);
 * importers and folds make version 8 with the same first 48 bits (event time in milliseconds) and
 * a hash, so that the same row or the same cause always gives the same id. The log recognises
 * duplicates of both within bounded memory because new ids are near each other in time.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { Clock, Random } from './ports.ts'

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
)
const TIME_MAX_MS = 2 ** 48 - 1

/** Makes version 7 UUIDs: lower case, in order of creation within one source. */
export function createIdSource(ports: { clock: Clock; random: Random }): () => string {
  const bytes = new Uint8Array(16)
  let lastMs = 0
  let counter = 0
  return () => {
    const nowMs = Math.max(ports.clock.nowMs(), lastMs)
    ports.random.fill(bytes)
    // A counter in the 12 bits after the version keeps ids of one millisecond in order (RFC 9562, 6.2).
    counter =
      nowMs === lastMs ? counter + 1 : (((bytes[6] as number) & 0x07) << 8) | (bytes[7] as number)
    lastMs = nowMs
    if (counter > 0xfff) {
      lastMs += 1
      counter = 0
    }
    bytes[6] = counter >>> 8
    bytes[7] = counter & 0xff
    return format(lastMs, bytes, 0x70)
  }
}

/** The version 8 UUID of `content` at `eventTimeMs`: 48 bits of time, then bits of SHA-256. Deterministic. */
export function deriveId(eventTimeMs: number, content: string): string {
  return format(eventTimeMs, sha256(utf8ToBytes(content)), 0x80)
}

const ORDERED = /^[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** The time prefix of a version 7 or 8 UUID in milliseconds, or undefined for any other id. */
export function timeOfId(id: string): number | undefined {
  return ORDERED.test(id) ? parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined
}

function format(timeMs: number, bytes: Uint8Array, version: number): string {
  const time = Math.min(Math.max(Math.floor(timeMs), 0), TIME_MAX_MS)
    .toString(16)
    .padStart(12, '0')
  const h = (index: number): string => HEX[bytes[index] as number] as string
  const versioned = HEX[version | ((bytes[6] as number) & 0x0f)] as string
  const variant = HEX[0x80 | ((bytes[8] as number) & 0x3f)] as string
  return (
    `${time.slice(0, 8)}-${time.slice(8)}-${versioned}${h(7)}-${variant}${h(9)}-` +
    `${h(10)}${h(11)}${h(12)}${h(13)}${h(14)}${h(15)}`
  )
}

/** The partition of a key: FNV-1a over UTF-16 units, finished as in MurmurHash3. Stable for ever: it places data. */
export function partitionOf(key: string, partitions: number): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index++) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) % partitions
}
