/**
 * Observations and labels out of the log: the events of one partition that are rows, and those that
 * tell labels, as they count by all that is known now. A label that came late is there, one that was
 * taken back is not.
 */
import type { TrainingSetDefinition } from '@millrace/core'
import { openCounted, type KnownLog } from '@millrace/streams'
import { entityColumn, KNOWN, TIME } from './answer.ts'
import { TOLD } from './make.ts'
import { BLOCK_ROWS, openPartWriter, type PartColumn, type PartValues } from './parts.ts'

/** Column of the order of events of one time: partition and offset. */
export const ORDER = 'event_order'
/** Column of the id of the event that is the observation. */
export const EVENT = 'event'
/** Column of the weight of a row. */
export const WEIGHT = 'weight'
/** Column of the value of a label event. */
export const VALUE = 'value'

/** What is known of an observation is what was known just before it: its own event is not among that. */
const JUST_BEFORE_MS = 0.001
/** Offsets of a partition are below it. */
const PARTITION_STRIDE = 2 ** 40

/** Column by which labels find their observations: the id that holds now. */
export function matchColumn(kind: string): string {
  return `match_${kind}`
}

/** What is extracted; plain data. */
export interface ExtractJob {
  readonly trainingSet: string
  readonly of: 'observations' | 'labels'
  readonly partition: number
  readonly end: number
  readonly part: string
}

/** Extracts the events of one partition; gives how many there were. */
export async function extract(
  log: KnownLog,
  definition: TrainingSetDefinition,
  job: ExtractJob,
): Promise<number> {
  const { partition, end, part } = job
  const kind = kindOf(definition, job.of)
  const writer = openPartWriter(part, kind.columns)
  const { event } = kind
  const range = { stream: event.stream, partition, end }
  const { records, canonical } = await openCounted(log, range)
  let block = kind.columns.map((): unknown[] => [])
  let rows = 0
  const flush = (): void => {
    writer.write(block.map((values, index) => typed(values, kind.columns[index] as PartColumn)))
    block = kind.columns.map(() => [])
  }
  for await (const record of records) {
    if (record.type !== event.name) continue
    const cells = kind.cellsOf(record.data, {
      timeMs: record.eventTimeMs,
      order: record.partition * PARTITION_STRIDE + record.offset,
      id: record.id,
      canonical,
    })
    if (cells === undefined) continue
    cells.forEach((cell, index) => (block[index] as unknown[]).push(cell))
    rows += 1
    if (rows % BLOCK_ROWS === 0) flush()
  }
  flush()
  await writer.finish()
  return rows
}

interface Kind {
  readonly event: TrainingSetDefinition['observe']
  readonly columns: readonly PartColumn[]
  cellsOf(data: unknown, about: About): readonly unknown[] | undefined
}

interface About {
  readonly timeMs: number
  readonly order: number
  readonly id: string
  readonly canonical: (id: string) => string
}

function kindOf(definition: TrainingSetDefinition, of: ExtractJob['of']): Kind {
  const { label } = definition
  const matched = Object.entries(label?.entities ?? {})
  const common = [number(TIME), number(ORDER)]
  const matches = matched.map(([kind]) => text(matchColumn(kind)))
  const matchOf = (
    data: unknown,
    fields: Readonly<Record<string, string>>,
    about: About,
  ): unknown[] =>
    matched.map(([kind]) => {
      const id = idIn(data, fields[kind] as string)
      return id !== null && kind === 'person' ? about.canonical(id) : id
    })
  if (of === 'labels' && label !== undefined) {
    return {
      event: label.event,
      columns: [...common, number(VALUE), ...matches],
      cellsOf(data, about) {
        const value = label.value(data)
        if (value === undefined) return undefined
        return [about.timeMs, about.order, Number(value), ...matchOf(data, label.entities, about)]
      },
    }
  }
  const { observe, service, entities } = definition
  return {
    event: observe,
    columns: [
      ...common,
      number(KNOWN),
      text(EVENT),
      number(WEIGHT),
      text(TOLD),
      ...service.entities.map(kind => text(entityColumn(kind))),
      ...matches,
    ],
    cellsOf: (data, about) => [
      about.timeMs,
      about.order,
      about.timeMs - JUST_BEFORE_MS,
      about.id,
      definition.weight(data),
      toldIn(data, definition.context),
      ...service.entities.map(kind => idIn(data, entities[kind] as string)),
      ...matchOf(data, entities, about),
    ],
  }
}

/** What the request told, as the event has it: the text of a JSON object, null where nothing is read of it. */
function toldIn(data: unknown, fields: Readonly<Record<string, string>>): string | null {
  const entries = Object.entries(fields)
  if (entries.length === 0) return null
  const own = data as Readonly<Record<string, unknown>>
  return JSON.stringify(Object.fromEntries(entries.map(([name, field]) => [name, own[field]])))
}

const number = (name: string): PartColumn => ({ name, type: 'DOUBLE' })
const text = (name: string): PartColumn => ({ name, type: 'STRING' })

function idIn(data: unknown, field: string): string | null {
  const value = (data as Readonly<Record<string, unknown>>)[field]
  return typeof value === 'string' ? value : null
}

function typed(values: readonly unknown[], { type }: PartColumn): PartValues {
  return type === 'DOUBLE'
    ? Float64Array.from(values as number[])
    : (values as readonly (string | null)[])
}
