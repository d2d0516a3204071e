/**
 * Tokens of answers: an exposure as it was made, signed, so that a client can tell later what it
 * really showed and nobody can invent propensities.
 *
 *   t1 "." base64url(JSON of the exposure) "." base64url(HMAC-SHA-256 of the part before)
 *
 * The key is derived from the secret of the data directory, for this use alone.
 */
import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import { productErrors } from '../errors.ts'
import type { Exposure } from './events.ts'

const VERSION = 't1'
const TOKEN_LENGTH_MAX = 256 * 1024

/** Signs and reads tokens. */
export interface TokenSigner {
  /** The token of an exposure, given as JSON in UTF-8. */
  sign(exposureJson: Buffer): string
  /** The exposure of a token; throws TOKEN_INVALID. */
  read(token: string): Exposure
}

/** Creates the signer of a data directory. */
export function createTokenSigner(secret: Uint8Array): TokenSigner {
  const mac = createMac(createHmac('sha256', secret).update('millrace answer token').digest())
  const refuse = (reason: string): never => {
    throw productErrors.create('TOKEN_INVALID', { reason })
  }
  return {
    sign(exposureJson) {
      const body = `${VERSION}.${exposureJson.toString('base64url')}`
      return `${body}.${mac(body).toString('base64url')}`
    },
    read(token) {
      if (token.length > TOKEN_LENGTH_MAX) refuse('it is too long')
      const parts = token.split('.')
      if (parts.length !== 3 || parts[0] !== VERSION) refuse('it has another form')
      const given = Buffer.from(parts[2] as string, 'base64url')
      const wanted = mac(`${parts[0]}.${parts[1]}`)
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
        refuse('its signature is wrong')
      }
      try {
        return JSON.parse(Buffer.from(parts[1] as string, 'base64url').toString('utf8')) as Exposure
      } catch {
        return refuse('it holds no exposure')
      }
    },
  }
}

const BLOCK_BYTES = 64
const DIGEST_BYTES = 32

/**
 * HMAC-SHA-256 (RFC 2104) of ASCII text by a key of at most 64 bytes, from two one-shot hashes: the
 * objects of `createHmac` cost several times the hashing where other code ran in between.
 */
function createMac(key: Uint8Array): (text: string) => Buffer {
  const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES, 0x5c)
  let inner = Buffer.alloc(4096, 0x36)
  for (let at = 0; at < key.length; at++) {
    inner[at] = 0x36 ^ (key[at] as number)
    outer[at] = 0x5c ^ (key[at] as number)
  }
  return text => {
    if (BLOCK_BYTES + text.length > inner.length) {
      const wider = Buffer.alloc(BLOCK_BYTES + text.length * 2)
      wider.set(inner.subarray(0, BLOCK_BYTES))
      inner = wider
    }
    const end = BLOCK_BYTES + inner.write(text, BLOCK_BYTES, 'latin1')
    outer.set(hash('sha256', inner.subarray(0, end), 'buffer'), BLOCK_BYTES)
    return hash('sha256', outer, 'buffer')
  }
}
