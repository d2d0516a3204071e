import { commandOf, livingOwner } from '@millrace/log'

/** The process that owns a data directory. */
export interface Owner {
  readonly pid: number
  /** Its command line, for people. */
  readonly command: string
  /** Where its server answers; undefined while it does not listen. */
  readonly url: string | undefined
}

/** Who owns the directory now; undefined when nobody does. */
export function ownerOf(directory: string): Owner | undefined {
  const owner = livingOwner(directory)
  if (owner === undefined) return undefined
  const { pid, address } = owner
  const url = /^https?:/.test(address) ? address : `http://${address}`
  return { pid, command: commandOf(pid), url: address === '' ? undefined : url }
}
