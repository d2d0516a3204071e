/** The process that owns a data directory. */
export interface Owner {
  readonly pid: number
  /** Where its server answers. */
  readonly url: string | undefined
}

/** Who owns the directory now; undefined when nobody does. */
export async function ownerOf(_directory: string): Promise<Owner | undefined> {
  return undefined
}
