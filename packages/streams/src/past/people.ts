/**
 * The past of people who were merged. What stands in for an event came to its partition when they were
 * merged, and was known when the event was: the event's own place decides, wherever the record stands.
 */
import { partitionName } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { withData } from '../amendments.ts'
import { OUTSIDE } from '../generations.ts'
import { ORIGIN_HEADER } from '../identity/contract.ts'
import { isKeyedByPeople } from '../identity/people.ts'
import type { FoldRunner } from '../runner.ts'
import { boundOf, type Bound } from './bound.ts'
import { hopBefore, type Instant, type PastPorts } from './moment.ts'

/** The bound of one partition of a fold's source, with what stands in there for events that were known. Throws MOMENT_GONE. */
export async function boundOfPerson(
  ports: PastPorts,
  runner: FoldRunner,
  partition: number,
  instant: Instant,
): Promise<Bound> {
  const bound = await boundOf(ports, runner, partition, instant)
  const { source } = runner.definition
  const canonical = runner.lanes[partition]?.lane.corrections.canonical
  if (canonical === undefined || !isKeyedByPeople(source)) return bound
  const stream = hopBefore(ports, runner)?.definition.source ?? source
  const end = ports.log.ends().get(partitionName(source, partition)) ?? 0
  return {
    ...bound,
    to: Math.max(bound.to, end),
    has(record) {
      const place = originOf(record)
      if (place === undefined) return record.offset < bound.to && bound.has(record)
      const known = instant.position.get(partitionName(stream, place.partition)) ?? 0
      return place.offset < known
    },
    // It came later, and time with it.
    asKnown: record =>
      originOf(record) === undefined || record.watermarkMs <= bound.watermarkMs
        ? record
        : { ...withData(record, record.data, record.payload), watermarkMs: bound.watermarkMs },
  }
}

function originOf({
  generation,
  isUnique,
  headers,
}: LogRecord): { readonly partition: number; readonly offset: number } | undefined {
  const text = generation === OUTSIDE || isUnique ? undefined : headers[ORIGIN_HEADER]
  if (text === undefined) return undefined
  const [partition, offset] = text.split('/').map(Number) as [number, number]
  return { partition, offset }
}
