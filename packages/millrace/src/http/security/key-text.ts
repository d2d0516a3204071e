/**
 * How a key looks:
 *
 *   millrace_<scope>_<id>_<secret><checksum>
 *
 *   scope     public, server or admin
 *   id        10 of [0-9a-z]: names the key and is no secret
 *   secret    32 of [0-9A-Za-z]: 190 random bits
 *   checksum  6 of [0-9A-Za-z]: CRC-32 of everything before it, in base 62
 *
 * Prefix and checksum tell a key that leaked into a repository from other text, without asking a
 * server. What is kept of it is one SHA-256 (docs/adr/0011-keys.md says why that is enough).
 */
import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Random } from '@millrace/core'

/** What a key may do; each scope covers those before it. */
export type KeyScope = 'public' | 'server' | 'admin'

/** All scopes of keys, the least first. */
export const KEY_SCOPES: readonly KeyScope[] = ['public', 'server', 'admin']

/** A key as its text shows it. */
export interface KeyText {
  readonly scope: KeyScope
  readonly id: string
}

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
const ID_LENGTH = 10
const ID_ALPHABET_LENGTH = 36
const SECRET_LENGTH = 32
const CHECKSUM_LENGTH = 6
const KEY = /^(millrace_(public|server|admin)_([0-9a-z]{10})_[0-9A-Za-z]{32})([0-9A-Za-z]{6})$/

/** A key id that nobody can guess, for a key to be made. */
export function createKeyId(random: Random): string {
  return randomText(random, ID_LENGTH, ID_ALPHABET_LENGTH)
}

/** The text of a new key: shown once, kept nowhere. */
export function createKeyText({ scope, id }: KeyText, random: Random): string {
  const head = `millrace_${scope}_${id}_${randomText(random, SECRET_LENGTH, ALPHABET.length)}`
  return head + checksumOf(head)
}

/** What a text says that has the form of a key and its checksum; undefined for any other. */
export function readKeyText(text: string): KeyText | undefined {
  const match = KEY.exec(text)
  if (match === null) return undefined
  const [, head = '', scope, id = '', checksum] = match
  return checksumOf(head) === checksum ? { scope: scope as KeyScope, id } : undefined
}

/** What is kept of a key: its SHA-256. */
export function hashKeyText(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}

/** Characters of the first `size` of the alphabet, each as likely as the others. */
function randomText(random: Random, length: number, size: number): string {
  const fair = 256 - (256 % size)
  const bytes = new Uint8Array(1)
  let text = ''
  while (text.length < length) {
    const byte = random.fill(bytes)[0] as number
    if (byte < fair) text += ALPHABET[byte % size]
  }
  return text
}

function checksumOf(head: string): string {
  let rest = crc32(head)
  let text = ''
  for (let index = 0; index < CHECKSUM_LENGTH; index++) {
    text = (ALPHABET[rest % ALPHABET.length] as string) + text
    rest = Math.floor(rest / ALPHABET.length)
  }
  return text
}
