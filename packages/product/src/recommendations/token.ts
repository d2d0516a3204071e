/**
 * Tokens of answers: an exposure as it was made, signed, so that a client can tell later what it
 * really showed and nobody can invent propensities.
 *
 *   t1 "." base64url(JSON of the exposure) "." base64url(HMAC-SHA-256 of the part before)
 *
 * The key is derived from the secret of the data directory, for this use alone.
 */
import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'
import { productErrors } from '../errors.ts'
import type { Exposure } from './events.ts'

const VERSION = 't1'
const TOKEN_LENGTH_MAX = 256 * 1024

/** Signs and reads tokens. */
export interface TokenSigner {
  /** The token of an exposure, given as its JSON text. */
  sign(exposureJson: string): string
  /** The exposure of a token; throws TOKEN_INVALID. */
  read(token: string): Exposure
}

/** Creates the signer of a data directory. */
export function createTokenSigner(secret: Uint8Array): TokenSigner {
  // A key object is prepared once; bytes would be prepared for every token, at four times the cost.
  const key = createSecretKey(createHmac('sha256', secret).update('millrace answer token').digest())
  const mac = (text: string): Buffer => createHmac('sha256', key).update(text).digest()
  const refuse = (reason: string): never => {
    throw productErrors.create('TOKEN_INVALID', { reason })
  }
  return {
    sign(exposureJson) {
      const body = `${VERSION}.${Buffer.from(exposureJson, 'utf8').toString('base64url')}`
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
      return JSON.parse(Buffer.from(parts[1] as string, 'base64url').toString('utf8')) as Exposure
    },
  }
}
