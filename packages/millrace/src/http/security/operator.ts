/**
 * The token that commands on the same machine show to the server of a data directory. Both sides
 * derive it from the secret in `millrace.json`, which only its owner may read, and from the process
 * that the lock names: it is stored nowhere and ends with the process.
 */
import { hkdfSync } from 'node:crypto'
import { livingOwner } from '@millrace/log'

const TOKEN_BYTES = 32

/** The token of the process that owns the directory; undefined when none does. */
export function operatorTokenOf(directory: string, secret: Uint8Array): string | undefined {
  const owner = livingOwner(directory)
  if (owner === undefined) return undefined
  const use = `millrace operator ${owner.pid} ${owner.start ?? ''}`
  return Buffer.from(hkdfSync('sha256', secret, '', use, TOKEN_BYTES)).toString('base64url')
}
