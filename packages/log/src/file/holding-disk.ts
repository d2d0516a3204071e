/**
 * A disk on which files of the log stay while somebody copies them.
 *
 * Promise: what a hold began with is there until it is released, whatever is split, merged or
 * retired meanwhile. Removals wait in their order, each for the holds that were there when it was
 * asked for: of the journal the oldest segment must always go first, or the rest could not be read
 * after a crash. What a crash leaves is removed by the next opening of the log. Cost: space, for
 * what would have gone.
 */
import { dirname } from 'node:path/posix'
import type { Disk, Logger } from '@millrace/core'

/** See the head of the file. */
export class HoldingDisk implements Disk {
  readonly #disk: Disk
  readonly #logger: Logger
  /** Holds that are not released, by number, oldest first. */
  readonly #holds = new Set<number>()
  #newest = 0
  readonly #waiting: { readonly path: string; readonly hold: number }[] = []
  #removing: Promise<void> | undefined

  constructor(disk: Disk, logger: Logger) {
    this.#disk = disk
    this.#logger = logger
  }

  /** From now on files of the log stay; returns how to let them go, which is harmless twice. */
  hold(): () => Promise<void> {
    const number = ++this.#newest
    this.#holds.add(number)
    return async () => {
      if (this.#holds.delete(number)) await this.#removeWaiting()
    }
  }

  async remove(path: string): Promise<void> {
    const isHeld = this.#holds.size > 0 || this.#waiting.length > 0
    if (!isHeld || !/\.(jnl|split)$/.test(path)) return this.#disk.remove(path)
    this.#waiting.push({ path, hold: this.#newest })
    await this.#removeWaiting()
  }

  open: Disk['open'] = (path, mode) => this.#disk.open(path, mode)
  list: Disk['list'] = directory => this.#disk.list(directory)
  makeDirectory: Disk['makeDirectory'] = directory => this.#disk.makeDirectory(directory)
  rename: Disk['rename'] = (from, to) => this.#disk.rename(from, to)
  syncDirectory: Disk['syncDirectory'] = directory => this.#disk.syncDirectory(directory)
  sizeOf: Disk['sizeOf'] = path => this.#disk.sizeOf(path)
  freeBytes: Disk['freeBytes'] = () => this.#disk.freeBytes()

  #removeWaiting(): Promise<void> {
    this.#removing ??= this.#removeInOrder().finally(() => {
      this.#removing = undefined
    })
    return this.#removing
  }

  async #removeInOrder(): Promise<void> {
    for (;;) {
      const [next] = this.#waiting
      const [oldest = Infinity] = this.#holds
      if (next === undefined || next.hold >= oldest) return
      try {
        await this.#disk.remove(next.path)
        await this.#disk.syncDirectory(dirname(next.path))
      } catch (error) {
        // It waits for the next time, and those behind it with it.
        this.#logger.warn('a file that a backup held could not be removed', { error })
        return
      }
      this.#waiting.shift()
    }
  }
}
