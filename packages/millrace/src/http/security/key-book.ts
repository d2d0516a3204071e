/**
 * The keys of a log: made, rotated and revoked as events, and known to this process before it takes
 * a request. It reads the stream itself and not through a fold, so that neither a rebuild nor a
 * parked key can leave a revoked key valid (docs/adr/0011-keys.md).
 *
 * A command resolves when this process acts by it; others follow when they see the record.
 */
import { timingSafeEqual } from 'node:crypto'
import type { Clock, Logger, Random } from '@millrace/core'
import { StreamFollower, type EventLog } from '@millrace/log'
import { serverErrors } from '../../errors.ts'
import { createKeyId, createKeyText, hashKeyText, readKeyText, type KeyScope } from './key-text.ts'
import { ANY_ORIGIN, KEYS_STREAM, foldKey, type Key } from './key-view.ts'
import type { RateLimit } from './rate-limit.ts'

/** What a key is made from. */
export interface NewKey {
  readonly scope: KeyScope
  readonly name: string
  readonly origins: readonly string[]
  readonly limit: RateLimit | undefined
}

/** A key whose text was made just now. */
export interface MadeKey {
  readonly key: Key
  /** Shown once: nobody can make it again. */
  readonly text: string
}

/** A text that is a key. */
export interface FoundKey {
  readonly key: Key
  /** When this secret ends; Infinity unless the key was rotated since. */
  readonly untilMs: number
}

/** The keys. */
export interface KeyBook {
  /** True until the first key is made; false for ever after, also when all are revoked. */
  readonly isEmpty: boolean
  /** All keys, revoked ones too, in the order in which they were made. */
  list(): readonly Key[]
  /** The key of a text. Throws KEY_INVALID. */
  find(text: string): FoundKey
  /** True when a public key may be used by pages of the origin. */
  hasOrigin(origin: string): boolean
  create(key: NewKey): Promise<MadeKey>
  /** Makes a new secret; those before go on for `graceMs`. Rejects with KEY_ID_UNKNOWN. */
  rotate(id: string, graceMs: number): Promise<MadeKey>
  /** Ends a key; once more changes nothing. Rejects with KEY_ID_UNKNOWN. */
  revoke(id: string): Promise<Key>
  /** Notes a use of a key; it reaches the log within a day, and at close. */
  use(key: Key, nowMs: number): void
  /** Calls `listener` after keys changed. */
  onChange(listener: () => void): void
  /** Saves uses and stops following the log. */
  close(): Promise<void>
}

/** What a book stands on. */
export interface KeyBookPorts {
  readonly log: EventLog
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly newId: () => string
}

const USE_SAVED_EVERY_MS = 86_400_000

/** Opens the keys of a log; resolves when all that the log holds are known. */
export async function openKeyBook(ports: KeyBookPorts): Promise<KeyBook> {
  const book = new LogKeyBook(ports)
  await book.follow()
  return book
}

class LogKeyBook implements KeyBook {
  readonly #ports: KeyBookPorts
  readonly #keys = new Map<string, Key>()
  readonly #listeners: (() => void)[] = []
  #origins: ReadonlySet<string> = new Set()
  readonly #follower: StreamFollower
  readonly #stop: () => void

  constructor(ports: KeyBookPorts) {
    this.#ports = ports
    this.#follower = new StreamFollower(ports.log, KEYS_STREAM)
    this.#stop = ports.log.onAdvance(() => {
      if (!this.#follower.hasNews) return
      this.follow().catch((error: unknown) => {
        ports.logger.error('keys cannot be read', { error: String(error) })
      })
    })
  }

  get isEmpty(): boolean {
    return this.#keys.size === 0
  }

  list(): readonly Key[] {
    return [...this.#keys.values()]
  }

  hasOrigin(origin: string): boolean {
    return this.#origins.has(origin) || this.#origins.has(ANY_ORIGIN)
  }

  find(text: string): FoundKey {
    const form = readKeyText(text)
    if (form === undefined) throw invalid('it does not have the form of a key')
    const key = this.#keys.get(form.id)
    const given = hashKeyText(text)
    if (key?.revokedMs !== undefined) throw invalid('it was revoked')
    const secret = key?.secrets.find(({ hash }) => timingSafeEqual(hash, given))
    if (key === undefined || secret === undefined) throw invalid('this server has no such key')
    if (secret.untilMs <= this.#ports.clock.nowMs()) throw invalid('it was replaced by a newer one')
    return { key, untilMs: secret.untilMs }
  }

  async create({ scope, name, origins, limit }: NewKey): Promise<MadeKey> {
    const { log, random } = this.#ports
    await log.declare([{ name: KEYS_STREAM, partitions: 1 }])
    let id = createKeyId(random)
    while (this.#keys.has(id)) id = createKeyId(random)
    const text = createKeyText({ scope, id }, random)
    const hash = hashKeyText(text).toString('base64url')
    await this.#append('key.created', id, { scope, name, origins, limit: limit ?? null, hash })
    return { key: this.#known(id), text }
  }

  async rotate(id: string, graceMs: number): Promise<MadeKey> {
    const { clock, random } = this.#ports
    const { scope, revokedMs } = this.#known(id)
    if (revokedMs !== undefined) throw serverErrors.create('KEY_REVOKED', { id })
    const text = createKeyText({ scope, id }, random)
    const hash = hashKeyText(text).toString('base64url')
    const previousUntilMs = clock.nowMs() + graceMs
    await this.#append('key.rotated', id, { hash, previousUntilMs })
    return { key: this.#known(id), text }
  }

  async revoke(id: string): Promise<Key> {
    if (this.#known(id).revokedMs === undefined) await this.#append('key.revoked', id, {})
    return this.#known(id)
  }

  use(key: Key, nowMs: number): void {
    key.usedMs = nowMs
    if (nowMs - key.savedUse.ms < USE_SAVED_EVERY_MS) return
    key.savedUse.ms = nowMs
    this.#append('key.used', key.id, {}, nowMs).catch((error: unknown) => {
      this.#ports.logger.warn('the use of a key was not saved', {
        id: key.id,
        error: String(error),
      })
    })
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** Reads to the durable end. */
  async follow(): Promise<void> {
    let isChanged = false
    await this.#follower.follow(record => {
      foldKey(this.#keys, record)
      isChanged = true
    })
    if (!isChanged) return
    const live = this.list().filter(({ revokedMs }) => revokedMs === undefined)
    this.#origins = new Set(live.flatMap(({ origins }) => origins))
    for (const listener of this.#listeners) listener()
  }

  async close(): Promise<void> {
    this.#stop()
    const unsaved = this.list().filter(key => (key.usedMs ?? 0) > key.savedUse.ms)
    const events = unsaved.map(key => this.#event('key.used', key.id, {}, key.usedMs as number))
    if (events.length === 0) return
    try {
      await this.#ports.log.commit({ events })
    } catch (error) {
      this.#ports.logger.warn('the last uses of keys were not saved', { error: String(error) })
    }
  }

  #known(id: string): Key {
    const key = this.#keys.get(id)
    if (key === undefined) throw serverErrors.create('KEY_ID_UNKNOWN', { id: id.slice(0, 32) })
    return key
  }

  #event(type: string, id: string, data: object, eventTimeMs: number) {
    const event = { stream: KEYS_STREAM, type, key: id, id: this.#ports.newId(), eventTimeMs, data }
    return { ...event, isUnique: true }
  }

  async #append(
    type: string,
    id: string,
    data: object,
    atMs: number = this.#ports.clock.nowMs(),
  ): Promise<void> {
    await this.#ports.log.commit({ events: [this.#event(type, id, data, atMs)] })
    await this.follow()
  }
}

function invalid(reason: string): Error {
  return serverErrors.create('KEY_INVALID', { reason })
}
