/**
 * Re-keyed streams: the events of one entity's stream again, in the partitions of another entity's
 * keys. One fold for each pair (source stream, kind of the new key); it emits one record per event
 * and target partition, with all keys of the kind that fall there, whatever number of views read
 * them. It has no state.
 */
import { deriveId, partitionOf, type EventDefinition } from '@millrace/core'
import type { LogRecord, StreamSpec } from '@millrace/log'
import type { Cause, Emission, FoldDefinition, FoldOutput, FoldShard } from '../fold.ts'
import { personFields } from '../identity/fields.ts'
import { canonicalText } from './canonical.ts'
import { CAUSE_HEADER, WATERMARK_HEADER } from './plan.ts'

/** Name of a re-keyed stream. Its dot tells it from streams of events from outside. */
export function rekeyedStream(kind: string, source: string): string {
  return `${kind}.from-${source}`
}

/** Which fields of which events give new keys of one kind. */
export class RekeyRule {
  readonly kind: string
  readonly source: string
  readonly #fields = new Map<string, Set<string>>()
  /** The field that gives the key in the source, by event. */
  readonly #keys = new Map<string, string>()
  readonly #events = new Set<EventDefinition>()

  constructor(kind: string, source: string) {
    this.kind = kind
    this.source = source
  }

  add(event: EventDefinition, field: string): void {
    this.#keys.set(event.name, event.key)
    this.#events.add(event)
    const fields = this.#fields.get(event.name)
    if (fields === undefined) this.#fields.set(event.name, new Set([field]))
    else fields.add(field)
  }

  stream(partitions: number, latenessMs: number): StreamSpec {
    return { name: rekeyedStream(this.kind, this.source), partitions, latenessMs }
  }

  fold(partitions: number): FoldDefinition {
    const target = rekeyedStream(this.kind, this.source)
    const fields = new Map([...this.#fields].map(([name, set]) => [name, [...set].sort()]))
    return {
      name: `rekey.${target}`,
      version: deriveId(0, canonicalText([...fields].sort())).slice(-12),
      source: this.source,
      types: [...fields.keys()],
      people: personFields([...this.#events]),
      targets: [target],
      isRekeying: true,
      keyFields: fields,
      onFailure: 'park',
      createShard: () => new RekeyShard(target, partitions, fields),
      causeOf: record => this.#causeOf(record),
    }
  }

  #causeOf({ type, headers, data }: LogRecord): Cause | undefined {
    const id = headers[CAUSE_HEADER]
    const field = this.#keys.get(type)
    if (id === undefined || field === undefined) return undefined
    return { id, key: (data as Readonly<Record<string, unknown>>)[field] as string }
  }
}

class RekeyShard implements FoldShard {
  readonly #target: string
  readonly #partitions: number
  readonly #fields: ReadonlyMap<string, readonly string[]>

  constructor(target: string, partitions: number, fields: ReadonlyMap<string, readonly string[]>) {
    this.#target = target
    this.#partitions = partitions
    this.#fields = fields
  }

  fold(record: LogRecord, output: FoldOutput): void {
    const data = record.data as Readonly<Record<string, unknown>>
    const fields = this.#fields.get(record.type)
    if (fields === undefined) return
    if (fields.length === 1) {
      const key = data[fields[0] as string]
      if (typeof key === 'string') output.emit(this.#emission(record, [key]))
      return
    }
    const byPartition = new Map<number, string[]>()
    for (const field of fields) {
      const key = data[field]
      if (typeof key !== 'string') continue
      const partition = partitionOf(key, this.#partitions)
      const keys = byPartition.get(partition)
      if (keys === undefined) byPartition.set(partition, [key])
      else if (!keys.includes(key)) keys.push(key)
    }
    for (const keys of byPartition.values()) output.emit(this.#emission(record, keys))
  }

  *keys(): Iterable<string> {}

  encodeKey(): undefined {
    return undefined
  }

  decodeKey(): void {}

  #emission(record: LogRecord, keys: readonly string[]): Emission {
    // History is never late, so it needs no watermark to be judged by.
    const headers: Record<string, string> = record.isHistory
      ? { [CAUSE_HEADER]: record.id }
      : { [CAUSE_HEADER]: record.id, [WATERMARK_HEADER]: `${record.watermarkMs}` }
    const key = keys[0] as string
    const { type, data } = record
    // Its payload is made from `data`: a record that was just appended holds no other.
    const emission = { stream: this.#target, type, key, data, headers }
    return keys.length === 1 ? emission : { ...emission, keys }
  }
}
