/**
 * The entries of a plan in the log: written in chunks of bounded size, hashed as they are written,
 * read again in order.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { UNCHANGED, type ChangeKind } from './change-kind.ts'
import { CHANGESET_ITEMS_STREAM, type Chunk, type Entry } from './events.ts'

/** Entries of one record at most, unless the kind of change says another number. */
export const WRITES_MAX_DEFAULT = 100
/** Characters of its entries, but for one entry alone. */
const CHUNK_CHARACTERS_MAX = 128 * 1024

const CHUNK_TYPE = 'changeset.chunk'

/** Writes the entries of one plan. */
export class EntryWriter {
  readonly #ports: { readonly log: EventLog; readonly clock: Clock; readonly newId: () => string }
  readonly #plan: string
  readonly #entriesMax: number
  readonly #hash: EntryHash
  #chunk: Entry[] = []
  #characters = 0
  #chunks = 0
  entries = 0
  effects = 0
  refused = 0

  constructor(
    ports: { readonly log: EventLog; readonly clock: Clock; readonly newId: () => string },
    {
      plan,
      entriesMax,
      erased,
      ...head
    }: PlanHead &
      Pick<ChangeKind, 'erased'> & { readonly plan: string; readonly entriesMax: number },
  ) {
    this.#ports = ports
    this.#plan = plan
    this.#entriesMax = entriesMax
    this.#hash = new EntryHash(head, erased)
  }

  async add(entry: Entry): Promise<void> {
    const { length } = JSON.stringify(entry)
    const isFull = this.#chunk.length === this.#entriesMax
    const isBig = this.#characters + length > CHUNK_CHARACTERS_MAX && this.#chunk.length > 0
    if (isFull || isBig) await this.#flush()
    this.#chunk.push(entry)
    this.#characters += length
    this.#hash.add(entry)
    if (entry.refused === undefined) this.effects += 1
    else if (entry.refused.code !== UNCHANGED) this.refused += 1
  }

  /** Writes what is left; gives the number of chunks, and the hashes. */
  async end(): Promise<PlanHashes & { readonly chunks: number }> {
    await this.#flush()
    return { chunks: this.#chunks, ...this.#hash.ends() }
  }

  async #flush(): Promise<void> {
    if (this.#chunk.length === 0) return
    const { log, clock, newId } = this.#ports
    const data: Chunk = { chunk: this.#chunks, first: this.entries, entries: this.#chunk }
    const place = { stream: CHANGESET_ITEMS_STREAM, type: CHUNK_TYPE, key: this.#plan }
    await log.commit({
      events: [{ ...place, id: newId(), isUnique: true, eventTimeMs: clock.nowMs(), data }],
    })
    this.#chunks += 1
    this.entries += this.#chunk.length
    this.#chunk = []
    this.#characters = 0
  }
}

/** The chunks of a plan in order. */
export async function* chunksOf(
  log: EventLog,
  { plan, chunks }: { readonly plan: string; readonly chunks: number },
): AsyncGenerator<Chunk, void> {
  if (chunks === 0) return
  for await (const { data } of log.history({ stream: CHANGESET_ITEMS_STREAM, keys: [plan] })) {
    yield data as Chunk
  }
}

/** What a plan is of, as its hash covers it. */
export interface PlanHead {
  readonly kind: string
  readonly position: string
  readonly requestHash: string
}

/** SHA-256 of a plan, as hex. */
export interface PlanHashes {
  readonly hash: string
  /** The same of what an erasure of everybody would leave of it: the plan of before, when some were erased. */
  readonly erasedHash: string
}

/** Hashes of what a plan is of and what it would change. */
export class EntryHash {
  readonly #whole = createHash('sha256')
  readonly #erased = createHash('sha256')
  readonly #leave: ChangeKind['erased']

  constructor({ kind, position, requestHash }: PlanHead, leave: ChangeKind['erased']) {
    this.#leave = leave
    const head = JSON.stringify([kind, position, requestHash])
    for (const hash of [this.#whole, this.#erased]) hash.update(head)
  }

  add(entry: Entry): void {
    const { target, before, after } = entry
    const text = textOf(entry)
    this.#whole.update(text)
    const left = [before, after].map(value => value === undefined ? undefined : (this.#leave?.(target, value) ?? value)) // prettier-ignore
    const isSame = left[0] === before && left[1] === after
    this.#erased.update(isSame ? text : textOf({ ...entry, before: left[0], after: left[1] }))
  }

  ends(): PlanHashes {
    return { hash: this.#whole.digest('hex'), erasedHash: this.#erased.digest('hex') }
  }
}

function textOf({ target, before, after, refused }: Entry): string {
  return `\n${JSON.stringify([target, before ?? null, after ?? null, refused?.code ?? null])}`
}

/** SHA-256 of a request. */
export function hashOf(request: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(request) ?? 'null')
    .digest('hex')
}

/** What an entry does, in one word; undefined for a refused row. */
export function actionOf({
  before,
  after,
  refused,
}: Entry): 'add' | 'change' | 'remove' | undefined {
  if (refused !== undefined) return undefined
  if (before === undefined) return 'add'
  return after === undefined ? 'remove' : 'change'
}
