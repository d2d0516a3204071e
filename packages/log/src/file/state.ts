/** What the journal says about everything but the records: written as frames, read back on open. */
import type { ParkedKey, Step } from '../log.ts'
import type { Declared } from '../admission.ts'
import { StepBook } from '../step-book.ts'
import type { StepRecord } from '../step-book.ts'
import type { Bytes } from './bytes.ts'
import { damagedFrame } from './damage.ts'
import { frameField } from './frames.ts'
import { KIND } from './layout.ts'
import { readTextFrame } from './group.ts'
import type { Group } from './group.ts'
import { NAME_SPACES, createNameTable } from './names.ts'
import type { NameSpace, NameTable } from './names.ts'
import { StreamTable } from './partition.ts'
import { isStateFrame } from './state-frames.ts'

/** The state that a log holds in memory beside the places of its records. */
export interface LogState {
  readonly streams: StreamTable
  readonly names: NameTable
  readonly steps: StepBook
  lastIngestMs: number
}

export function createState(stepsKept: number): LogState {
  return {
    streams: new StreamTable(),
    names: createNameTable(),
    steps: new StepBook(stepsKept),
    lastIngestMs: Number.NEGATIVE_INFINITY,
  }
}

interface NameFrame {
  readonly space: NameSpace
  readonly number: number
  readonly name: string
}

interface StreamFrame extends Declared {
  readonly number: number
}

interface StepFrame {
  readonly processor: string
  readonly generation: number
  readonly stream: string
  readonly partition: number
  readonly from: number
  readonly to: number
  readonly emitted: readonly (readonly [string, number])[]
  readonly parked?: readonly ParkedKey[]
  readonly released?: readonly string[]
}

interface CheckpointFrame {
  readonly streams: readonly {
    readonly declared: Declared
    readonly ends: readonly number[]
    /** null stands for -Infinity. */
    readonly watermarksMs: readonly (number | null)[]
  }[]
  readonly names: Readonly<Record<NameSpace, readonly string[]>>
  readonly steps: readonly (Omit<StepRecord, 'ends'> & {
    readonly ends: readonly (readonly [string, number])[]
  })[]
  readonly lastIngestMs: number | null
}

/** The number of a name; a new one is framed before its first use. */
export function numberOf(names: NameTable, space: NameSpace, name: string, group: Group): number {
  const known = names[space].find(name)
  if (known !== undefined) return known
  const number = names[space].add(name)
  group.addText(KIND.name, { space, number, name } satisfies NameFrame)
  return number
}

export function writeStream(group: Group, declared: Declared, number: number): void {
  group.addText(KIND.stream, { ...declared, number } satisfies StreamFrame)
}

export function writeStep(group: Group, step: Step, emitted: ReadonlyMap<string, number>): void {
  const { processor, generation, source, from, to, parked, released } = step
  const frame: StepFrame = {
    processor,
    generation,
    stream: source.stream,
    partition: source.partition,
    from,
    to,
    emitted: [...emitted],
    ...(parked === undefined ? {} : { parked }),
    ...(released === undefined ? {} : { released }),
  }
  group.addText(KIND.step, frame)
}

/** Repeats everything that a segment needs from its predecessors. */
export function writeCheckpoint(group: Group, state: LogState): void {
  const frame: CheckpointFrame = {
    streams: state.streams.list().map(({ declared, partitions }) => ({
      declared,
      ends: partitions.map(partition => partition.nextOffset),
      watermarksMs: partitions.map(partition => partition.watermarkMs),
    })),
    names: {
      type: state.names.type.list(),
      definition: state.names.definition.list(),
      tenant: state.names.tenant.list(),
    },
    steps: state.steps.heads().map(step => ({ ...step, ends: [...step.ends] })),
    lastIngestMs: state.lastIngestMs,
  }
  group.addText(KIND.checkpoint, frame)
}

/** The value of a frame of a unit that was checked. Refuses what no log writes (LOG_DAMAGED). */
export function readStateFrame(bytes: Bytes, at: number, file: string): unknown {
  let value: unknown
  try {
    value = readTextFrame(bytes, at)
  } catch {
    throw damagedFrame(file, at, 'the text of a frame is not JSON')
  }
  if (isStateFrame(frameField.kind(bytes, at), value)) return value
  throw damagedFrame(file, at, 'a frame says what no log writes')
}

/** Takes over a NAME, STREAM or STEP frame. What the state has already is left alone. */
export function applyFrame(state: LogState, kind: number, value: unknown): void {
  if (kind === KIND.name) {
    const { space, name } = value as NameFrame
    if (state.names[space].find(name) === undefined) state.names[space].add(name)
  } else if (kind === KIND.stream) {
    const { number: _, ...declared } = value as StreamFrame
    state.streams.put(declared)
  } else if (kind === KIND.step) {
    const { stream, partition, emitted, ...rest } = value as StepFrame
    const step: Step = { ...rest, source: { stream, partition }, emitted: [] }
    state.steps.settle(state.steps.accept(step, new Map(emitted)))
  }
}

/** Takes over the checkpoint that opens the oldest segment. */
export function applyCheckpoint(state: LogState, value: unknown): void {
  const frame = value as CheckpointFrame
  for (const space of NAME_SPACES)
    for (const name of frame.names[space]) state.names[space].add(name)
  for (const { declared, ends, watermarksMs } of frame.streams) {
    const stream = state.streams.put(declared)
    stream.partitions.forEach((partition, number) => {
      partition.nextOffset = ends[number] as number
      partition.watermarkMs = watermarksMs[number] ?? Number.NEGATIVE_INFINITY
    })
  }
  for (const step of frame.steps) state.steps.restore({ ...step, ends: new Map(step.ends) })
  state.lastIngestMs = frame.lastIngestMs ?? Number.NEGATIVE_INFINITY
}
