import { hash } from 'node:crypto'

/**
 * The id of an imported row: what core's `deriveId` gives, eight times as fast, since Node hashes
 * natively. Time first, then 74 bits of SHA-256 of the row: the same row at the same time is the
 * same event, in whatever file and order it comes.
 */
export function rowId(eventTimeMs: number, content: string): string {
  const time = eventTimeMs.toString(16).padStart(12, '0')
  const hex = hash('sha256', content, 'hex')
  const variant = (8 | (Number.parseInt(hex.charAt(16), 16) & 3)).toString(16)
  return (
    `${time.slice(0, 8)}-${time.slice(8)}-8${hex.slice(13, 16)}-` +
    `${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
  )
}
