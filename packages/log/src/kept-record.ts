/** A record that is kept in memory from its append, so that nobody reads and decodes what is there already. */
import { decodePayload } from './admission.ts'
import { DEFAULT_TENANT } from './log.ts'
import type { LogRecord, NewEvent, SealedPart } from './log.ts'

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({})

/** A record kept from its append, with the data that the caller parsed anyway. It holds nothing of the caller's but strings, `data`, and what few events have. */
export class KeptRecord implements LogRecord {
  readonly stream: string
  readonly partition: number
  readonly offset: number
  readonly type: string
  readonly key: string
  readonly id: string
  readonly eventTimeMs: number
  readonly ingestTimeMs: number
  readonly watermarkMs: number
  readonly tenant: string
  readonly definition: string
  readonly generation: number
  readonly isHistory: boolean
  readonly isUnique: boolean
  memo: unknown = undefined
  readonly #rest: Rest | undefined
  #data: unknown

  constructor(
    event: NewEvent,
    place: Pick<LogRecord, 'partition' | 'offset' | 'ingestTimeMs' | 'watermarkMs' | 'isUnique'>,
  ) {
    this.stream = event.stream
    this.partition = place.partition
    this.offset = place.offset
    this.type = event.type
    this.key = event.key
    this.id = event.id
    this.eventTimeMs = event.eventTimeMs
    this.ingestTimeMs = place.ingestTimeMs
    this.watermarkMs = place.watermarkMs
    this.tenant = event.tenant ?? DEFAULT_TENANT
    this.definition = event.definition ?? ''
    this.generation = event.generation ?? 0
    this.isHistory = event.isHistory ?? false
    this.isUnique = place.isUnique
    this.#data = event.data
    this.#rest = restOf(event)
  }

  get keys(): readonly string[] {
    return this.#rest?.keys ?? [this.key]
  }
  get headers(): Readonly<Record<string, string>> {
    return this.#rest?.headers ?? NO_HEADERS
  }
  get sealed(): SealedPart | undefined {
    return this.#rest?.sealed
  }
  get data(): unknown {
    const payload = this.#rest?.payload
    if (this.#data === undefined && payload !== undefined) {
      this.#data = decodePayload(payload, this.#rest?.isEnvelope ?? false)
    }
    return this.#data
  }
  get payload(): Uint8Array {
    return Buffer.from(JSON.stringify(this.data), 'utf8')
  }
}

/** What few events have. */
interface Rest {
  readonly keys: readonly string[] | undefined
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly sealed: SealedPart | undefined
  /** A copy, for events that came without decoded data. */
  readonly payload: Uint8Array | undefined
  readonly isEnvelope: boolean | undefined
}

function restOf({
  data,
  payload: bytes,
  keys,
  headers,
  sealed,
  isEnvelope,
}: NewEvent): Rest | undefined {
  const payload = data === undefined && bytes !== undefined ? new Uint8Array(bytes) : undefined
  const isPlain =
    keys === undefined && headers === undefined && sealed === undefined && payload === undefined
  return isPlain ? undefined : { keys, headers, sealed, payload, isEnvelope }
}
