/**
 * A group of units on its way into one call of `append`: every event is given its place behind the
 * end of its partition, whatever that end is; the database adds the ends. Duplicates and conflicts
 * are judged here, from what is known of the ids of the group; the database says when that was not
 * enough, and the group is drafted again.
 */
import { partitionOf } from '@millrace/core'
import { dataOf, differenceOf, eventConflict, tenantKey, versionConflict } from '../admission.ts'
import type { StoredContent } from '../admission.ts'
import { KeptRecord } from '../kept-record.ts'
import { DEFAULT_TENANT } from '../log.ts'
import type { AppendResult, CommitRequest, CommitResult, LogRecord, NewEvent, Step } from '../log.ts' // prettier-ignore
import type { StepRecord } from '../step-book.ts'
import { int4Array, int8Array, textArray } from './arrays.ts'
import type { Catalog, TablePartition } from './catalog.ts'
import type { Parameter } from './database.ts'
import { BlockDraft, fitsBlock } from './blocks.ts'
import { FLAG, KEY_PLACES_MAX } from './layout.ts'
import { extrasOf } from './record.ts'

/** One commit that waits for its group. */
export interface Unit {
  readonly request: CommitRequest
  /** The JSON text of every event, then of every emission. */
  readonly texts: readonly (string | Uint8Array)[]
  readonly bytes: number
  readonly ingestMs: number
  /** The step as this process accepted it; its ends are known when it is committed. */
  readonly step: StepRecord | undefined
  readonly resolve: (result: CommitResult) => void
  readonly reject: (error: unknown) => void
}

/** An id that the log has. The record is undefined when retention removed it. */
export interface StoredPlace {
  readonly partition: TablePartition
  readonly offset: number
  readonly record: StoredContent | undefined
}

/** What was read from the database for a group. */
export interface Knowledge {
  readonly stored: Map<string, StoredPlace>
  /** Versions by `versionKey`, read together with `bases`; only of groups that expect any. */
  versions: ReadonlyMap<string, number>
  /** The ends that the versions were read at; they must still hold. */
  bases: ReadonlyMap<TablePartition, number>
}

/** What a group adds to one partition. */
interface Target {
  readonly partition: TablePartition
  /** Its place among the targets, from 1; given when all are known. */
  at: number
  count: number
  watermarkMs: number
  bytes: number
  /** The end that it must have; null for any. */
  expected: number | null
  /** The newest row of each key that its records are found under and that is not their own. */
  readonly keys: Map<string, KeyRow>
  /** The newest block. */
  block: { readonly lines: BlockDraft; readonly place: number } | undefined
}

/** The records of a target that are found under a key. */
interface KeyRow {
  readonly target: Target
  readonly key: string
  /** Place of the first of them. */
  readonly place: number
  /** How far behind it the others are, ascending, with commas between. */
  more: string
  count: number
}

/** A record with its place. */
export interface DraftRow {
  readonly event: NewEvent
  readonly text: string | Uint8Array
  readonly target: Target
  readonly place: number
  readonly ingestMs: number
  readonly watermarkMs: number
  readonly flags: number
  readonly extras: string | null
}

type DraftResult =
  AppendResult | { readonly status: 'appended' | 'duplicate'; readonly row: DraftRow }

interface DraftUnit {
  readonly unit: Unit
  readonly results: readonly DraftResult[]
  readonly emitted: readonly DraftRow[]
}

/** The name under which a version is known. */
export function versionKey(home: TablePartition, tenant: string, key: string): string {
  return `${home.number}/${tenantKey(tenant, key)}`
}

/** See the head of the file. */
export class Draft {
  readonly units: readonly DraftUnit[]
  readonly #catalog: Catalog
  readonly #knowledge: Knowledge
  readonly #targets = new Map<TablePartition, Target>()
  readonly #sorted: readonly Target[]
  readonly #rows: DraftRow[] = []
  readonly #byId = new Map<string, DraftRow>()
  /** Newest row of a key in this group, for groups that expect versions. */
  readonly #newest = new Map<string, DraftRow>()
  readonly #keyRows: KeyRow[] = []
  /** Of `#rows`, those that become rows, and the blocks of all others. */
  readonly #plain: DraftRow[] = []
  readonly #blocks: { readonly target: Target; readonly place: number; readonly lines: BlockDraft }[] = [] // prettier-ignore
  readonly #hasVersions: boolean

  constructor(units: readonly Unit[], catalog: Catalog, knowledge: Knowledge) {
    this.#catalog = catalog
    this.#knowledge = knowledge
    this.#hasVersions = knowledge.bases.size > 0
    for (const partition of knowledge.bases.keys()) this.#targetOf(partition)
    this.units = units.map(unit => this.#draft(unit))
    this.#sorted = [...this.#targets.values()].sort(
      (a, b) => a.partition.number - b.partition.number,
    )
    this.#sorted.forEach((target, index) => (target.at = index + 1))
  }

  /** True when nothing has to be written. */
  get isEmpty(): boolean {
    return this.#rows.length === 0 && this.units.every(({ unit }) => unit.step === undefined)
  }

  /** Records to append. */
  get records(): number {
    return this.#rows.length
  }

  /** The parameters of `append`. */
  parameters(member: string, number: number): Parameter[] {
    const rows = this.#plain
    const blocks = this.#blocks
    const targets = this.#sorted
    return [
      member,
      number,
      int4Array(targets.map(target => target.partition.number)),
      int8Array(targets.map(target => target.count)),
      int8Array(targets.map(target => (target.count === 0 ? null : target.watermarkMs))),
      int8Array(targets.map(target => target.bytes)),
      int8Array(targets.map(target => target.expected)),
      int4Array(rows.map(row => row.target.at)),
      int8Array(rows.map(row => row.place)),
      int8Array(rows.map(row => row.event.eventTimeMs)),
      int8Array(rows.map(row => row.ingestMs)),
      int8Array(rows.map(row => row.watermarkMs)),
      int8Array(rows.map(row => row.event.generation ?? 0)),
      int4Array(rows.map(row => row.flags)),
      textArray(rows.map(row => row.event.tenant ?? DEFAULT_TENANT)),
      textArray(rows.map(row => row.event.type)),
      textArray(rows.map(row => row.event.key)),
      textArray(rows.map(row => row.event.id)),
      textArray(rows.map(row => row.event.definition ?? '')),
      textArray(rows.map(row => row.text)),
      textArray(rows.map(row => row.extras)),
      int4Array(this.#keyRows.map(({ target }) => target.at)),
      int8Array(this.#keyRows.map(({ place }) => place)),
      textArray(this.#keyRows.map(({ key }) => key)),
      textArray(this.#keyRows.map(({ more }) => (more === '' ? null : `{${more}}`))),
      int4Array(blocks.map(({ target }) => target.at)),
      int8Array(blocks.map(({ place }) => place)),
      int4Array(blocks.map(({ lines }) => lines.count)),
      int8Array(blocks.map(({ lines }) => lines.ingestMs)),
      textArray(blocks.map(({ lines }) => lines.text)),
      ...this.#stepParameters(),
    ]
  }

  /** Units of the steps with these indexes, from 1, as `append` counts them. */
  unitsOfSteps(indexes: ReadonlySet<number>): Unit[] {
    return this.#tracks()
      .filter((_, index) => indexes.has(index + 1))
      .flatMap(track => track.units.map(({ unit }) => unit))
  }

  /** The answer to each unit, and the ends after what it emitted, when `bases` are the ends before. */
  outcomes(bases: readonly (number | null)[]): {
    readonly unit: Unit
    readonly result: CommitResult
    readonly emitted: ReadonlyMap<string, number>
    readonly rows: number
  }[] {
    const offsetOf = ({ target, place }: DraftRow): number =>
      (bases[target.at - 1] as number) + place
    return this.units.map(({ unit, results, emitted }) => {
      const position = new Map<string, number>()
      const reach = (to: Map<string, number>, name: string, end: number): void => {
        if (end > (to.get(name) ?? 0)) to.set(name, end)
      }
      let rows = emitted.length
      const settled = results.map((result, index): AppendResult => {
        if ('row' in result) {
          const { partition } = result.row.target
          const offset = offsetOf(result.row)
          if (result.status === 'appended') rows += 1
          reach(position, partition.name, offset + 1)
          return { status: result.status, partition: partition.partition, offset }
        }
        if (result.status !== 'conflict') {
          const event = unit.request.events?.[index]
          reach(position, `${event?.stream}/${result.partition}`, result.offset + 1)
        }
        return result
      })
      const ends = new Map<string, number>(unit.request.step?.ends)
      for (const row of emitted) {
        reach(ends, row.target.partition.name, offsetOf(row) + 1)
        reach(position, row.target.partition.name, offsetOf(row) + 1)
      }
      return { unit, result: { results: settled, position }, emitted: ends, rows }
    })
  }

  /**
   * What was appended to each target, by `places` of `append`: where the targets were, then the times
   * of arrival and the watermarks that they had.
   */
  *appended(places: readonly (number | null)[]): Iterable<{
    readonly partition: TablePartition
    readonly records: readonly LogRecord[]
    readonly bytes: number
  }> {
    const count = this.#sorted.length
    const records = new Map<Target, LogRecord[]>(this.#sorted.map(target => [target, []]))
    for (const { event, target, place, ingestMs, watermarkMs, flags } of this.#rows) {
      const least = (at: number): number => places[at + target.at - 1] ?? Number.NEGATIVE_INFINITY
      records.get(target)?.push(
        new KeptRecord(event, {
          partition: target.partition.partition,
          offset: (places[target.at - 1] as number) + place,
          ingestTimeMs: Math.max(ingestMs, least(count)),
          watermarkMs: Math.max(watermarkMs, least(2 * count)),
          isUnique: (flags & FLAG.unique) !== 0,
        }),
      )
    }
    for (const [{ partition, bytes }, list] of records) yield { partition, records: list, bytes }
  }

  /** How far each target has come, when `bases` are the ends before. */
  *advances(
    bases: readonly (number | null)[],
  ): Iterable<{ number: number; end: number; target: Target }> {
    for (const target of this.#sorted) {
      const end = (bases[target.at - 1] as number) + target.count
      if (target.count > 0) yield { number: target.partition.number, end, target }
    }
  }

  #draft(unit: Unit): DraftUnit {
    const { events = [], step } = unit.request
    const results = events.map((event, index) => this.#admit(unit, event, index))
    const emitted = (step?.emitted ?? []).map((event, index) =>
      this.#place(unit, event, events.length + index, { isUnique: true, isEmitted: true }),
    )
    for (const { partition } of this.#movedEnds(step)) {
      this.#targetOf(partition).expected = partition.end
    }
    return { unit, results, emitted }
  }

  #admit(unit: Unit, event: NewEvent, index: number): DraftResult {
    const isUnique = event.isUnique === true
    if (!isUnique) {
      const known = this.#judgeKnown(event)
      if (known !== undefined) return known
    }
    if (event.expectedVersion !== undefined) {
      const actual = this.#versionOf(event)
      if (actual !== event.expectedVersion) return versionConflict(event, actual)
    }
    // A move brings what folds emitted as events.
    const isEmitted = isUnique && event.moved !== undefined && (event.generation ?? 0) > 0
    const row = this.#place(unit, event, index, { isUnique, isEmitted })
    if (!isUnique) this.#byId.set(event.id, row)
    return { status: 'appended', row }
  }

  #judgeKnown(event: NewEvent): DraftResult | undefined {
    const row = this.#byId.get(event.id)
    if (row !== undefined) {
      const reason = differenceOf(event, contentOf(row.event))
      return reason === undefined ? { status: 'duplicate', row } : eventConflict(event.id, reason)
    }
    const stored = this.#knowledge.stored.get(event.id)
    if (stored === undefined) return undefined
    const { record, partition, offset } = stored
    const reason = record === undefined ? undefined : differenceOf(event, record)
    if (reason !== undefined) return eventConflict(event.id, reason)
    return { status: 'duplicate', partition: partition.partition, offset }
  }

  #versionOf(event: NewEvent): number {
    const home = this.#catalog.home(event.stream, event.key)
    const name = versionKey(home, event.tenant ?? DEFAULT_TENANT, event.key)
    const row = this.#newest.get(name)
    if (row === undefined) return this.#knowledge.versions.get(name) ?? 0
    return (this.#knowledge.bases.get(home) as number) + row.place + 1
  }

  #place(
    unit: Unit,
    event: NewEvent,
    index: number,
    { isUnique, isEmitted }: { readonly isUnique: boolean; readonly isEmitted: boolean },
  ): DraftRow {
    const { declared, partitions } = this.#catalog.stream(event.stream)
    const number = event.partition ?? partitionOf(event.key, declared.partitions)
    const target = this.#targetOf(partitions[number] as TablePartition)
    const text = unit.texts[index] as string | Uint8Array
    const ingestMs = event.moved?.ingestTimeMs ?? unit.ingestMs
    const reached =
      event.moved?.watermarkMs ??
      Math.min(event.eventTimeMs, ingestMs + declared.skewMs) - declared.latenessMs
    target.watermarkMs = Math.max(target.watermarkMs, reached)
    target.bytes += text.length
    const { keys } = event
    const isInBlock = isEmitted && fitsBlock(text, declared)
    const isOwnKey =
      !isInBlock && (keys === undefined || (keys.length === 1 && keys[0] === event.key))
    const row: DraftRow = {
      event,
      text,
      target,
      place: target.count,
      ingestMs,
      watermarkMs: target.watermarkMs,
      flags:
        (event.isHistory === true ? FLAG.history : 0) |
        (event.isEnvelope === true && event.payload !== undefined ? FLAG.envelope : 0) |
        (isUnique ? FLAG.unique : 0) |
        (isOwnKey ? 0 : FLAG.keysApart),
      extras: extrasOf(event),
    }
    target.count += 1
    this.#rows.push(row)
    if (isInBlock) this.#addToBlock(row)
    else this.#plain.push(row)
    if (!isOwnKey || this.#hasVersions) this.#noteKeys(row, isOwnKey, declared.partitions)
    return row
  }

  #addToBlock(row: DraftRow): void {
    const { target, place } = row
    let { block } = target
    if (block === undefined || block.lines.isFull || block.place + block.lines.count !== place) {
      block = { place, lines: new BlockDraft() }
      target.block = block
      this.#blocks.push({ target, ...block })
    }
    block.lines.add(row)
  }

  /** A record is found under those of its keys whose home its partition is. */
  #noteKeys(row: DraftRow, isOwnKey: boolean, partitions: number): void {
    const { event, target } = row
    for (const key of new Set(event.keys ?? [event.key])) {
      if (partitionOf(key, partitions) !== target.partition.partition) continue
      if (!isOwnKey) this.#notePlace(row, key)
      if (!this.#hasVersions) continue
      const name = versionKey(target.partition, event.tenant ?? DEFAULT_TENANT, key)
      this.#newest.set(name, row)
    }
  }

  #notePlace({ target, place }: DraftRow, key: string): void {
    const row = target.keys.get(key)
    if (row === undefined || row.count === KEY_PLACES_MAX) {
      const first: KeyRow = { target, key, place, more: '', count: 1 }
      target.keys.set(key, first)
      this.#keyRows.push(first)
      return
    }
    const distance = place - row.place
    row.more = row.count === 1 ? `${distance}` : `${row.more},${distance}`
    row.count += 1
  }

  #targetOf(partition: TablePartition): Target {
    let target = this.#targets.get(partition)
    if (target === undefined) {
      const watermarkMs = Number.NEGATIVE_INFINITY
      const expected = this.#knowledge.bases.get(partition) ?? null
      target = {
        partition,
        at: 0,
        count: 0,
        watermarkMs,
        bytes: 0,
        expected,
        keys: new Map(),
        block: undefined,
      }
      this.#targets.set(partition, target)
    }
    return target
  }

  /** The ends of a step that is moved here, which the ends of their partitions do not pass. */
  *#movedEnds(step: Step | undefined): Iterable<{ partition: TablePartition; end: number }> {
    for (const [name, end] of step?.ends ?? []) {
      const slash = name.lastIndexOf('/')
      const number = Number(name.slice(slash + 1))
      yield { partition: this.#catalog.partition(name.slice(0, slash), number), end }
    }
  }

  /** Steps of one processor on one partition that follow each other are written as one. */
  #tracks(): { first: Step; last: StepRecord; units: DraftUnit[] }[] {
    const tracks = new Map<string, { first: Step; last: StepRecord; units: DraftUnit[] }>()
    for (const entry of this.units) {
      const { step } = entry.unit
      if (step === undefined) continue
      const name = `${step.stream}/${step.partition}/${step.generation}/${step.processor}`
      const track = tracks.get(name)
      if (track === undefined) {
        tracks.set(name, { first: entry.unit.request.step as Step, last: step, units: [entry] })
      } else {
        track.last = step
        track.units.push(entry)
      }
    }
    return [...tracks.values()]
  }

  #stepParameters(): Parameter[] {
    const tracks = this.#tracks()
    const ends = tracks.flatMap(({ units }, index) => {
      const newest = new Map<Target, number>()
      for (const { unit, emitted } of units) {
        for (const { partition, end } of this.#movedEnds(unit.request.step)) {
          newest.set(this.#targetOf(partition), end - partition.end)
        }
        for (const row of emitted) newest.set(row.target, row.place + 1)
      }
      return [...newest].map(([target, end]) => ({ step: index + 1, at: target.at, end }))
    })
    return [
      textArray(tracks.map(({ last }) => last.processor)),
      int8Array(tracks.map(({ last }) => last.generation)),
      int4Array(
        tracks.map(({ last }) => this.#catalog.partition(last.stream, last.partition).number),
      ),
      int8Array(tracks.map(({ first }) => first.from)),
      int8Array(tracks.map(({ last }) => last.consumed)),
      textArray(tracks.map(({ last }) => JSON.stringify(last.parked))),
      int4Array(ends.map(({ step }) => step)),
      int4Array(ends.map(({ at }) => at)),
      int8Array(ends.map(({ end }) => end)),
      int4Array(tracks.map(({ last }) => last.partition)),
      // Steps that are written as one stand or fall with the oldest of their tokens.
      int8Array(tracks.map(({ first }) => first.token ?? null)),
    ]
  }
}

function contentOf(event: NewEvent): StoredContent {
  const { tenant = DEFAULT_TENANT, stream, type, key, eventTimeMs } = event
  return { tenant, stream, type, key, eventTimeMs, data: dataOf(event) }
}
