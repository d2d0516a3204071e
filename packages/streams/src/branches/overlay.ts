import type { ImageCache, KeyImage } from './world.ts'

/** What an entry takes beside its bytes. */
const ENTRY_BYTES = 200

/** The states that a branch has folded: those asked for last, as many as there is room for. */
export class Overlay implements ImageCache {
  readonly #images = new Map<string, KeyImage>()
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get size(): { readonly keys: number; readonly bytes: number } {
    return { keys: this.#images.size, bytes: this.#bytes }
  }

  get(name: string): KeyImage | undefined {
    const image = this.#images.get(name)
    if (image === undefined) return undefined
    this.#images.delete(name)
    this.#images.set(name, image)
    return image
  }

  put(name: string, image: KeyImage): void {
    this.#drop(name)
    this.#images.set(name, image)
    this.#bytes += bytesOf(name, image)
    for (const oldest of this.#images.keys()) {
      if (this.#bytes <= this.#bytesMax) return
      this.#drop(oldest)
    }
  }

  #drop(name: string): void {
    const image = this.#images.get(name)
    if (image === undefined) return
    this.#images.delete(name)
    this.#bytes -= bytesOf(name, image)
  }
}

function bytesOf(name: string, { bytes, shared }: KeyImage): number {
  return ENTRY_BYTES + 2 * name.length + (bytes?.length ?? 0) + (shared?.length ?? 0)
}
