/**
 * Backups over HTTP: the server names the files that hold its log and keeps them; the command reads
 * them beside it. They are kept while a connection asks for it: a command that dies lets them go.
 */
import { encodePosition, type Clock, type JsonSchema, type Logger } from '@millrace/core'
import { serverErrors } from '../errors.ts'
import type { LogFiles, LogHold } from '../wiring/backends.ts'
import { idParams } from './bind.ts'
import type { Exchange, Operation } from './operation.ts'
import type { Subscription, Subscriptions } from './subscriptions.ts'

/** Time to connect after the files were named. */
const CONNECT_MS = 30_000
/** Holds at a time: each keeps space. */
const HOLDS_MAX = 8

/** What the operations stand on. */
export interface BackupContext {
  /** Undefined where the log is in no data directory. */
  readonly files: LogFiles | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly newId: () => string
}

const heldSchema: JsonSchema = {
  type: 'object',
  required: ['id', 'directory', 'unit', 'ingestTimeMs', 'position', 'files', 'beside'],
  properties: {
    id: { type: 'string', description: 'Connect to /v1/backups/:id/hold within 30 seconds.' },
    directory: { type: 'string', description: 'The data directory, on the machine of the server.' },
    unit: { type: 'integer', description: 'The last commit unit that the files hold.' },
    ingestTimeMs: { type: ['integer', 'null'], description: 'When the log took it.' },
    position: { type: 'string', description: 'The ends after it.' },
    beside: {
      type: 'array',
      items: { type: 'string' },
      description: 'Files beside the log: the identity and snapshots that are not ahead of it.',
    },
    files: {
      type: 'array',
      items: {
        type: 'object',
        required: ['path', 'bytes'],
        properties: {
          path: { type: 'string', description: 'Relative to the data directory.' },
          bytes: { type: 'integer', description: 'The bytes that count.' },
        },
      },
    },
  },
}

/** Holds that were given out, by id, until their connection ends. */
class Holds {
  readonly #context: BackupContext
  readonly #holds = new Map<string, LogHold>()
  readonly #connected = new Set<string>()

  constructor(context: BackupContext) {
    this.#context = context
  }

  /** Holds the files, for a connection that comes in time. */
  async begin(): Promise<unknown> {
    const { files, clock, newId } = this.#context
    if (files === undefined) throw serverErrors.create('BACKUP_UNSUPPORTED')
    if (this.#holds.size >= HOLDS_MAX) {
      const details = { limit: HOLDS_MAX, retryAfterMs: CONNECT_MS }
      throw serverErrors.create('BACKUPS_TOO_MANY', details)
    }
    const id = newId()
    const { hold, beside } = await files.hold()
    this.#holds.set(id, hold)
    clock.after(CONNECT_MS, () => {
      if (!this.#connected.has(id)) this.#release(id)
    })
    const { unit, position } = hold
    const ingestTimeMs = Number.isFinite(hold.ingestTimeMs) ? hold.ingestTimeMs : null
    const text = encodePosition(position)
    return { id, directory: files.directory, unit, ingestTimeMs, position: text, files: hold.files, beside } // prettier-ignore
  }

  /** Keeps a hold until the connection ends. */
  keep(id: string, subscription: Pick<Subscription, 'onEnd'>): void {
    this.#connected.add(id)
    subscription.onEnd(() => {
      this.#connected.delete(id)
      this.#release(id)
    })
  }

  has(id: string): boolean {
    return this.#holds.has(id)
  }

  #release(id: string): void {
    const hold = this.#holds.get(id)
    this.#holds.delete(id)
    hold?.release().catch((error: unknown) => {
      this.#context.logger.warn('the files of a backup could not be let go', { error })
    })
  }
}

/** The operations. */
export function backupOperations(
  context: BackupContext,
  subscriptions: Subscriptions,
): readonly Operation[] {
  const holds = new Holds(context)
  const common = { scope: 'admin', tag: 'operations', isOutsideLog: true } as const
  return [
    {
      ...common,
      method: 'POST',
      path: '/v1/backups',
      operation: 'beginBackup',
      summary: 'Names the files that hold the log as it is now, and keeps them for a backup',
      description: 'What `millrace backup` asks for; it reads the files on the same machine.',
      response: heldSchema,
      errors: ['BACKUP_UNSUPPORTED', 'BACKUPS_TOO_MANY'],
      handle: async () => ({ body: await holds.begin() }),
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/backups/:id/hold',
      operation: 'holdBackup',
      summary: 'Keeps the files of a backup for as long as the connection lasts',
      params: idParams('id'),
      media: { mediaType: 'text/event-stream', schema: {} },
      errors: ['BACKUP_HOLD_UNKNOWN', 'SUBSCRIPTIONS_TOO_MANY'],
      serve(exchange: Exchange) {
        const id = exchange.params['id'] as string
        if (!holds.has(id)) throw serverErrors.create('BACKUP_HOLD_UNKNOWN', { id })
        const subscription = subscriptions.open(exchange)
        holds.keep(id, subscription)
        subscription.send({ event: 'held', data: JSON.stringify({ id }) })
      },
    },
  ]
}
