/**
 * What a fold emits becomes a record of the log. Its id is a hash of what caused it, so that folding
 * the same records again names the same emissions; a step commits them once.
 */
import { partitionOf } from '@millrace/core'
import type { LogRecord, NewEvent } from '@millrace/log'
import type { EmissionIds } from './emission-id.ts'
import { streamsErrors } from './errors.ts'
import type { Emission } from './fold.ts'

/** Who emits, and where it may emit to. */
export interface Emitter {
  readonly fold: string
  readonly generation: number
  /** The definition whose shapes it emits; undefined: that of the cause. */
  readonly definition: string | undefined
  readonly ids: EmissionIds
  /** Partitions of each target stream. */
  readonly targets: ReadonlyMap<string, number>
}

/**
 * The record of an emission. `ordinal` counts the emissions of one cause; `salt` tells the emissions
 * of a retry from those that other keys made because of the same record. Throws EMISSION_INVALID.
 */
export function toEvent(
  emitter: Emitter,
  emission: Emission,
  cause: LogRecord,
  ordinal: number,
  salt: string,
): NewEvent {
  const { stream, key, keys } = emission
  const partitions = emitter.targets.get(stream)
  if (partitions === undefined) throw refusal(emitter, stream, 'it is not among its targets')
  const partition = partitions === 1 ? 0 : partitionOf(key, partitions)
  if (keys !== undefined && partitions > 1) {
    for (const other of keys) {
      if (partitionOf(other, partitions) !== partition) {
        throw refusal(emitter, stream, 'the keys of the record fall into several partitions')
      }
    }
  }
  if (emission.data === undefined) throw refusal(emitter, stream, 'it has no data')
  const event: { -readonly [Member in keyof NewEvent]: NewEvent[Member] } = {
    tenant: cause.tenant,
    stream,
    type: emission.type,
    key,
    id: emitter.ids.idOf(cause.eventTimeMs, cause.id, { key, ordinal, salt }),
    eventTimeMs: emission.eventTimeMs ?? cause.eventTimeMs,
    data: emission.data,
    isHistory: cause.isHistory,
    definition: emitter.definition ?? cause.definition,
    generation: emitter.generation,
    partition,
    isUnique: true,
  }
  if (keys !== undefined) event.keys = keys
  if (emission.payload !== undefined) event.payload = emission.payload
  if (emission.headers !== undefined) event.headers = emission.headers
  return event
}

function refusal(emitter: Emitter, stream: string, reason: string): Error {
  return streamsErrors.create('EMISSION_INVALID', { fold: emitter.fold, stream, reason })
}
