/**
 * The file of refused rows: one JSON object a line, `{file, line, code, reason, raw}`. It holds the
 * rows as they were read, so that they can be corrected and imported; nothing else keeps them.
 */
import type { Disk, DiskFile } from '@millrace/core'
import type { RefusedRow } from './rows.ts'

const FLUSH_CHARACTERS = 64 * 1024

/** Writes refused rows; nothing is created while there are none. */
export class RefusedRows {
  readonly #disk: Disk
  readonly #path: string
  #file: DiskFile | undefined
  #size: number
  #waiting = ''

  /** `size`: bytes of the file that count, what lies behind them is written again. */
  constructor(options: { disk: Disk; path: string; size: number }) {
    this.#disk = options.disk
    this.#path = options.path
    this.#size = options.size
  }

  /** Notes a row; true when `flush` is due. */
  add(file: string, row: RefusedRow): boolean {
    this.#waiting += `${JSON.stringify({ file, ...row })}\n`
    return this.#waiting.length >= FLUSH_CHARACTERS
  }

  /** Writes what waits; the size of the file. */
  async flush(): Promise<number> {
    if (this.#waiting === '') return this.#size
    if (this.#file === undefined) {
      this.#file = await this.#disk.open(this.#path, 'write')
      await this.#file.truncate(this.#size)
    }
    const bytes = Buffer.from(this.#waiting)
    this.#waiting = ''
    await this.#file.write(bytes, 0, bytes.length, this.#size)
    this.#size += bytes.length
    return this.#size
  }

  async close(): Promise<void> {
    await this.flush()
    await this.#file?.sync()
    await this.#file?.close()
    this.#file = undefined
  }
}
