/** A record that is another one but for what a subclass says of it. */
import type { LogRecord, SealedPart } from './log.ts'

/** See the head of the file. */
export abstract class RecordView implements LogRecord {
  memo: unknown = undefined
  readonly #record: LogRecord

  constructor(record: LogRecord) {
    this.#record = record
  }

  abstract get data(): unknown

  get payload(): Uint8Array {
    return new TextEncoder().encode(JSON.stringify(this.data))
  }

  get isErased(): boolean {
    return this.#record.isErased === true
  }

  get tenant(): string {
    return this.#record.tenant
  }
  get stream(): string {
    return this.#record.stream
  }
  get partition(): number {
    return this.#record.partition
  }
  get offset(): number {
    return this.#record.offset
  }
  get type(): string {
    return this.#record.type
  }
  get key(): string {
    return this.#record.key
  }
  get keys(): readonly string[] {
    return this.#record.keys
  }
  get id(): string {
    return this.#record.id
  }
  get eventTimeMs(): number {
    return this.#record.eventTimeMs
  }
  get ingestTimeMs(): number {
    return this.#record.ingestTimeMs
  }
  get watermarkMs(): number {
    return this.#record.watermarkMs
  }
  get definition(): string {
    return this.#record.definition
  }
  get generation(): number {
    return this.#record.generation
  }
  get isHistory(): boolean {
    return this.#record.isHistory
  }
  get isUnique(): boolean {
    return this.#record.isUnique
  }
  get headers(): Readonly<Record<string, string>> {
    return this.#record.headers
  }
  get sealed(): SealedPart | undefined {
    return this.#record.sealed
  }
}
