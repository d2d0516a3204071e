/**
 * A record as the folds of one source share it. Logs decode what is asked for each time it is asked
 * for; eight folds would decode eight times. What every fold looks at is taken at once, the rest is
 * kept when it is first asked for.
 */
import type { LogRecord, SealedPart } from '@millrace/log'

/** See the head of the file. */
export class SharedRecord implements LogRecord {
  readonly tenant: string
  readonly stream: string
  readonly partition: number
  readonly offset: number
  readonly type: string
  readonly key: string
  readonly eventTimeMs: number
  readonly watermarkMs: number
  readonly generation: number
  readonly isHistory: boolean
  /** What the compiler of views made of it: see `views/context.ts`. */
  foldEvent: unknown = undefined
  readonly #record: LogRecord
  #keys: readonly string[] | undefined = undefined
  #id: string | undefined = undefined
  #headers: Readonly<Record<string, string>> | undefined = undefined
  #data: unknown = undefined

  constructor(record: LogRecord) {
    this.#record = record
    this.tenant = record.tenant
    this.stream = record.stream
    this.partition = record.partition
    this.offset = record.offset
    this.type = record.type
    this.key = record.key
    this.eventTimeMs = record.eventTimeMs
    this.watermarkMs = record.watermarkMs
    this.generation = record.generation
    this.isHistory = record.isHistory
  }

  get keys(): readonly string[] {
    return (this.#keys ??= this.#record.keys)
  }

  get id(): string {
    return (this.#id ??= this.#record.id)
  }

  get headers(): Readonly<Record<string, string>> {
    return (this.#headers ??= this.#record.headers)
  }

  get data(): unknown {
    return (this.#data ??= this.#record.data)
  }

  get payload(): Uint8Array {
    return this.#record.payload
  }

  get sealed(): SealedPart | undefined {
    return this.#record.sealed
  }

  get definition(): string {
    return this.#record.definition
  }

  get ingestTimeMs(): number {
    return this.#record.ingestTimeMs
  }
}
