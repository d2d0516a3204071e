/**
 * The units of a log that nobody has open, in order: from the ledgers of the segments that were
 * split, then from the journal. Each is applied to a state, which then is that of the log behind
 * it: streams with their ends, names, steps, time.
 */
import type { Disk } from '@millrace/core'
import { logErrors } from '../errors.ts'
import type { Bytes } from '../file/bytes.ts'
import { FrameRecord, frameField } from '../file/frames.ts'
import type { LogRecord } from '../log.ts'
import { KIND, SEGMENT_HEADER_BYTES, UNIT_HEADER_BYTES } from '../file/layout.ts'
import type { Partition } from '../file/partition.ts'
import { checkUnit, isZero, unitsInRow, type Unit } from '../file/scan.ts'
import { listSegments, loadSegment } from '../file/segment.ts'
import { applyCheckpoint, applyFrame, createState, readStateFrame, type LogState } from '../file/state.ts' // prettier-ignore
import { damagedLedger, listLedgers, loadLedger, readAdvance } from '../file/unit-ledger.ts'

const STEPS_KEPT = 1

/** A file that holds units. */
export interface UnitFile {
  readonly kind: 'ledger' | 'journal'
  /** Number of the segment. */
  readonly number: number
  readonly path: string
}

/** Walks the units of a log under `root` of a disk. */
export class UnitWalk {
  readonly #disk: Disk
  readonly #root: string
  readonly #onRecord: ((record: LogRecord) => void) | undefined
  /** The log behind the unit that was applied last. */
  state: LogState = createState(STEPS_KEPT)
  /** That unit, where it ends, and in which file; undefined before the first. */
  last: { readonly number: number; readonly end: number; readonly file: UnitFile } | undefined

  /** `onRecord` hears of the records that the journal has. */
  constructor(disk: Disk, root: string, onRecord?: (record: LogRecord) => void) {
    this.#disk = disk
    this.#root = root
    this.#onRecord = onRecord
  }

  /**
   * Every unit in order; it is applied when the next is asked for. Where ledgers are missing, of a
   * log from before there were any, it begins behind them. Throws LOG_DAMAGED.
   */
  async *units(): AsyncGenerator<Unit, void> {
    const segments = await listSegments(this.#disk, `${this.#root}/journal`)
    const [oldest = Infinity] = segments
    for (const { number, path } of await listLedgers(this.#disk, this.#root)) {
      // The journal knows more, when it still has the segment.
      if (number >= oldest) break
      const { bytes, size, salt } = await loadLedger(this.#disk, path)
      yield* this.#file({ kind: 'ledger', number, path }, { bytes, size, salt })
    }
    for (const number of segments) {
      const { segment, bytes, size } = await loadSegment(
        this.#disk,
        `${this.#root}/journal`,
        number,
      )
      await segment.file.close()
      const file = { kind: 'journal' as const, number, path: segment.path }
      yield* this.#file(file, { bytes, size, salt: segment.salt })
    }
  }

  async *#file(
    file: UnitFile,
    { bytes, size, salt }: { bytes: Bytes; size: number; salt: number },
  ): AsyncGenerator<Unit, void> {
    let end = SEGMENT_HEADER_BYTES
    for (const unit of unitsInRow(bytes, size, salt, undefined)) {
      checkUnit(file.path, bytes, unit)
      const isFirst = end === SEGMENT_HEADER_BYTES
      const isNext = this.last !== undefined && unit.number === this.last.number + 1
      // Of a log from before there were ledgers, or that such a build had in between.
      const mayBegin = isFirst && this.last?.file.kind !== 'journal'
      if (!isNext && !mayBegin) throw damagedUnits(file, end, `unit ${unit.number} does not follow`)
      if (!isNext) this.#begin()
      yield unit
      this.#apply(bytes, unit, { isFirst, isNext, file })
      end = unit.at + unit.length
      this.last = { number: unit.number, end, file }
    }
    if (!isZero(bytes, end, size)) {
      if (file.kind === 'ledger') throw damagedLedger(file.path, end)
      throw damagedUnits(file, end, 'a unit does not match its checksum')
    }
  }

  /** What comes next does not follow what was applied: it brings a state of its own. */
  #begin(): void {
    this.state = createState(STEPS_KEPT)
    this.last = undefined
  }

  #apply(
    bytes: Bytes,
    unit: Unit,
    { isFirst, isNext, file }: { isFirst: boolean; isNext: boolean; file: UnitFile },
  ): void {
    const { state } = this
    const end = unit.at + unit.length
    for (let at = unit.at + UNIT_HEADER_BYTES; at < end; at += frameField.length(bytes, at)) {
      const kind = frameField.kind(bytes, at)
      if (kind === KIND.record) this.#applyRecord(bytes, at, file)
      else if (kind === KIND.advance) {
        for (const { stream, partition, records } of readAdvance(bytes, at)) {
          partitionAt(state, stream, partition, { file, at }).nextOffset += records
        }
      } else if (kind !== KIND.checkpoint)
        applyFrame(state, kind, readStateFrame(bytes, at, file.path))
      else if (isFirst && isNext) this.#applyWatermarks(bytes, at, file)
      else if (isFirst) applyCheckpoint(state, readStateFrame(bytes, at, file.path))
    }
    state.lastIngestMs = Math.max(state.lastIngestMs, unit.ingestTimeMs)
  }

  #applyRecord(bytes: Bytes, at: number, file: UnitFile): void {
    const stream = frameField.stream(bytes, at)
    const number = frameField.partition(bytes, at)
    const partition = partitionAt(this.state, stream, number, { file, at })
    if (frameField.offset(bytes, at) !== partition.nextOffset) {
      throw damagedUnits(file, at, `${partition.name} goes on at another offset`)
    }
    const { name } = partition.stream.declared
    this.#onRecord?.(new FrameRecord(bytes, at, name, this.state.names))
    partition.nextOffset += 1
    partition.watermarkMs = frameField.watermarkMs(bytes, at)
  }

  /** A ledger has no records to take watermarks from, but its checkpoint says them. */
  #applyWatermarks(bytes: Bytes, at: number, file: UnitFile): void {
    const scratch = createState(STEPS_KEPT)
    applyCheckpoint(scratch, readStateFrame(bytes, at, file.path))
    for (const stream of scratch.streams.list()) {
      stream.partitions.forEach(({ watermarkMs }, number) => {
        partitionAt(this.state, stream.number, number, { file, at }).watermarkMs = watermarkMs
      })
    }
  }
}

function partitionAt(
  state: LogState,
  stream: number,
  number: number,
  { file, at }: { file: UnitFile; at: number },
): Partition {
  const partition = state.streams.at(stream)?.partitions[number]
  if (partition !== undefined) return partition
  throw damagedUnits(file, at, 'it names a partition that was not declared before')
}

function damagedUnits(file: UnitFile, at: number, reason: string): Error {
  return logErrors.create('LOG_DAMAGED', {
    file: file.path,
    at,
    reason,
    affected: 'this unit and those behind it',
    goOn: 'take the backup before this one',
  })
}
