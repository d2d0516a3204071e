/** A log in memory that outlives its runtimes, for tests that restart. */
import { silentLogger, systemClock, type Clock, type Logger } from '@millrace/core'
import type { EventLog, NewEvent, StreamSpec } from '@millrace/log'
import { createMemoryStore, openMemoryLog } from '@millrace/log/memory'
import type { SnapshotStore } from '@millrace/store'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import type { FoldDefinition } from '../fold.ts'
import type { PersonEvent } from '../identity/contract.ts'
import type { StreamsSettings } from '../options.ts'
import type { DifferencesSink } from '../rebuilds/builder.ts'
import { openStreams } from '../runtime.ts'
import type { Streams } from '../streams.ts'

export const PARTITIONS = 4
/** Long: on a busy machine a world may take minutes. What never comes ends by the limit of the test. */
const SETTLE_MS = 600_000

/** A turn of the event loop. */
export const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** See the head of the file. */
export class TestWorld {
  readonly store = createMemoryStore()
  snapshots: SnapshotStore = createMemorySnapshotStore()
  log!: EventLog
  streams!: Streams
  clock: Clock = systemClock
  logger: Logger = silentLogger
  folds: readonly FoldDefinition[]
  tables: Readonly<Record<string, string>> = {}
  extraStreams: readonly StreamSpec[] = []
  settings: Partial<StreamsSettings> = { batchRecords: 7 }
  people: readonly PersonEvent[] = []
  sink: DifferencesSink | undefined
  sync: (() => Promise<void>) | undefined
  queueBytesMax: number | undefined
  openLog: typeof openMemoryLog = openMemoryLog

  constructor(folds: readonly FoldDefinition[]) {
    this.folds = folds
  }

  /** Opens log and runtime; a runtime that was open loses its log, as after a kill. */
  async open(): Promise<this> {
    this.log = this.openLog({
      clock: this.clock,
      store: this.store,
      ...(this.sync === undefined ? {} : { sync: this.sync }),
      ...(this.queueBytesMax === undefined ? {} : { queueBytesMax: this.queueBytesMax }),
    })
    await this.log.declare([
      ...['person', 'clip', 'letter.from-person'].map(name => ({ name, partitions: PARTITIONS })),
      ...this.extraStreams,
    ])
    this.streams = await openStreams({
      log: this.log,
      snapshots: this.snapshots,
      clock: this.clock,
      logger: this.logger,
      folds: this.folds,
      tables: this.tables,
      people: this.people,
      ...(this.sink === undefined ? {} : { differences: this.sink }),
      options: this.settings,
    })
    return this
  }

  async commit(...events: readonly NewEvent[]): Promise<void> {
    await this.log.commit({ events })
  }

  /** Waits until everything that is durable, and what comes of it, is folded. */
  async settle(): Promise<void> {
    for (let before = -1, now = 0; before !== now;) {
      before = now
      await this.streams.reached({ position: new Map(this.log.ends()), timeoutMs: SETTLE_MS })
      now = [...this.log.ends().values()].reduce((sum, end) => sum + end, 0)
    }
  }

  /** The state of a key as text. */
  stateOf(fold: string, key: string): string | undefined {
    const bytes = this.streams.fold(fold).shardOf(key).encodeKey(key)
    return bytes === undefined ? undefined : Buffer.from(bytes).toString()
  }

  /** Keys whose state differs from a rebuild, by fold. */
  async differences(): Promise<Record<string, readonly string[]>> {
    const found: Record<string, readonly string[]> = {}
    for (const { name } of this.folds) {
      const { different } = await this.streams.rebuild({ fold: name })
      if (different.length > 0) found[name] = different
    }
    return found
  }
}
