/**
 * Sealing: AES-256-GCM (NIST SP 800-38D) of node:crypto, a random nonce of 96 bits for each part, so
 * at most 2^32 parts under one key. What a part belongs to is associated data: moved to another record,
 * or opened for another person, it is refused.
 *
 *   0 version, 1   1 nonce (12)   13 ciphertext   then tag (16)
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { Random } from '@millrace/core'
import { logErrors } from '../errors.ts'

const ALGORITHM = 'aes-256-gcm'
const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 1 + NONCE_BYTES
/** What sealing adds to the bytes. */
export const SEAL_BYTES = HEAD_BYTES + TAG_BYTES

/** Seals bytes with a key, bound to `place`. */
export function seal(
  key: Uint8Array,
  plain: Uint8Array,
  { place, random }: { readonly place: string; readonly random: Random },
): Buffer {
  const sealed = Buffer.allocUnsafe(SEAL_BYTES + plain.length)
  sealed[0] = VERSION
  const nonce = random.fill(sealed.subarray(1, HEAD_BYTES))
  const cipher = createCipheriv(ALGORITHM, key, nonce)
  cipher.setAAD(Buffer.from(place, 'utf8'))
  sealed.set(cipher.update(plain), HEAD_BYTES)
  cipher.final()
  sealed.set(cipher.getAuthTag(), HEAD_BYTES + plain.length)
  return sealed
}

/** Opens what `seal` gave. Throws SEAL_BROKEN. */
export function unseal(key: Uint8Array, sealed: Uint8Array, place: string): Buffer {
  const broken = (cause?: unknown): Error => logErrors.create('SEAL_BROKEN', { place: shown(place) }, cause) // prettier-ignore
  const end = sealed.length - TAG_BYTES
  if (end < HEAD_BYTES || sealed[0] !== VERSION) throw broken()
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(1, HEAD_BYTES))
  decipher.setAAD(Buffer.from(place, 'utf8'))
  decipher.setAuthTag(sealed.subarray(end))
  const plain = decipher.update(sealed.subarray(HEAD_BYTES, end))
  try {
    decipher.final()
  } catch (error) {
    throw broken(error)
  }
  return plain
}

function shown(place: string): string {
  return place.replaceAll('\0', ' ')
}
