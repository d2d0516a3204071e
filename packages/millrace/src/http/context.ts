/** What the routes of the server stand on. */
import type { App, Clock, Logger, Position } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import type { SchemaHistory } from '@millrace/log/schemas'
import type { Streams } from '@millrace/streams'
import type { Limits } from '../config.ts'
import type { Ingest } from '../ingest/ingest.ts'
import type { DefinitionFiles } from '../wiring/definition-file.ts'

/** The parts of an opened Millrace that serve requests. */
export interface ServerContext {
  readonly app: App
  readonly log: EventLog
  /** What the log remembers of its definitions, this one included. */
  readonly schemas: SchemaHistory
  readonly streams: Streams
  readonly ingest: Ingest
  /** Definitions beside the one that is served. */
  readonly definitions: DefinitionFiles
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: Limits
  readonly newId: () => string
  /** What an operator is to look at while it serves. */
  warnings(): readonly string[]
  /** True once the server was asked to close. */
  isClosing(): boolean
  /** Position that all folds reflect. */
  reflected(): Position
}
