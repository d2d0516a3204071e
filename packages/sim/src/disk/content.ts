/**
 * The bytes of a simulated file as pages that are never changed in place, so that a copy of a file
 * costs one reference a page. A page that nobody wrote is a hole: it reads as zeros and takes no
 * space of the volume.
 */

/** Size of a page and of the blocks of the simulated volume. */
export const PAGE_BYTES = 4096

const ZEROS = new Uint8Array(PAGE_BYTES)

/** Sparse bytes with a size. */
export class Content {
  #pages: Map<number, Uint8Array>
  #size: number

  constructor(pages: Map<number, Uint8Array> = new Map(), size = 0) {
    this.#pages = pages
    this.#size = size
  }

  get size(): number {
    return this.#size
  }

  /** Bytes that it takes of the volume. */
  get allocatedBytes(): number {
    return this.#pages.size * PAGE_BYTES
  }

  copy(): Content {
    return new Content(new Map(this.#pages), this.#size)
  }

  /** Bytes of the volume that a write there would take in addition. */
  missingBytes(position: number, length: number): number {
    let missing = 0
    const last = Math.ceil((position + length) / PAGE_BYTES)
    for (let page = Math.floor(position / PAGE_BYTES); page < last; page++) {
      if (!this.#pages.has(page)) missing += PAGE_BYTES
    }
    return missing
  }

  write(position: number, bytes: Uint8Array): void {
    let done = 0
    while (done < bytes.length) {
      const page = Math.floor((position + done) / PAGE_BYTES)
      const from = position + done - page * PAGE_BYTES
      const length = Math.min(PAGE_BYTES - from, bytes.length - done)
      const fresh = (this.#pages.get(page) ?? ZEROS).slice()
      fresh.set(bytes.subarray(done, done + length), from)
      this.#pages.set(page, fresh)
      done += length
    }
    if (bytes.length > 0) this.#size = Math.max(this.#size, position + bytes.length)
  }

  truncate(size: number): void {
    if (size < this.#size) {
      const kept = Math.ceil(size / PAGE_BYTES)
      for (const page of this.#pages.keys()) if (page >= kept) this.#pages.delete(page)
      const rest = size - (kept - 1) * PAGE_BYTES
      const last = this.#pages.get(kept - 1)
      // What lies behind the end must read as zeros when the file grows again.
      if (last !== undefined && rest < PAGE_BYTES) {
        this.#pages.set(kept - 1, last.slice().fill(0, rest))
      }
    }
    this.#size = size
  }

  /** Copies up to `length` bytes from `position` into `target` at `offset`; the number copied. */
  read(target: Uint8Array, offset: number, length: number, position: number): number {
    const count = Math.max(0, Math.min(length, this.#size - position))
    let done = 0
    while (done < count) {
      const page = Math.floor((position + done) / PAGE_BYTES)
      const from = position + done - page * PAGE_BYTES
      const part = Math.min(PAGE_BYTES - from, count - done)
      const source = this.#pages.get(page) ?? ZEROS
      target.set(source.subarray(from, from + part), offset + done)
      done += part
    }
    return count
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.#size)
    this.read(all, 0, this.#size, 0)
    return all
  }
}
