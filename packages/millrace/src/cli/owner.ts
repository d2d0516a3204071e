import { livingOwner } from '@millrace/log'

/** The process that owns a data directory. */
export interface Owner {
  readonly pid: number
  /** Where its server answers; undefined while it does not listen. */
  readonly url: string | undefined
}

/** Who owns the directory now; undefined when nobody does. */
export function ownerOf(directory: string): Owner | undefined {
  const owner = livingOwner(directory)
  if (owner === undefined) return undefined
  const { pid, address } = owner
  return { pid, url: address === '' ? undefined : `http://${address.replace(/^https?:\/\//, '')}` }
}
