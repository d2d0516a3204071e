/**
 * The current items in dense form, derived from the tables: what is listed, by number; attributes
 * in one array look-up; traits for content affinity; the groups that surface limits count.
 *
 * Brought up to date by the keys that changed since the last look, so that it costs nothing while
 * the catalogue stands still and a look-up per changed item when it does not.
 */
import type { App, Clock, Field } from '@millrace/core'
import {
  tableFoldName,
  type FoldHandle,
  type Streams,
  type VersionedTable,
} from '@millrace/streams'
import { itemKey, itemSpaceOf, partsOfKey, type ItemSpace } from './item-space.ts'
import { SortedIds } from './sorted-ids.ts'
import { notesChanges, subscribeTable, type ChangedKeys } from './table-changes.ts'
import { isTraitField, TraitIndex } from './traits.ts'

/** Attributes of an item, by field. Never mutate them: they are the record's own. */
export type Attributes = Readonly<Record<string, unknown>>

/**
 * What answers say of an item, as three pieces of JSON in UTF-8 that are ready to be put together, one
 * behind the other: an answer looks up twenty items, and each object on the way is a miss of the cache.
 */
export interface ItemJson {
  /** From 0 to `nameAt`: the beginning of an array, with the key. */
  readonly bytes: Buffer
  /** From here to `attributesAt`: the beginning of an object, with kind and id. */
  readonly nameAt: number
  /** From here on: the end of such an object and a comma, with the public attributes; without them for an item that was never put. */
  readonly attributesAt: number
}

/** One kind of item. */
export interface ItemKind {
  readonly name: string
  /** Place among the kinds. */
  readonly code: number
  readonly fields: Readonly<Record<string, Field<unknown>>>
  /** Fields that are not personal, or undefined when none is. */
  readonly publicFields: readonly string[] | undefined
  readonly traitFields: readonly string[]
}

interface KindState extends ItemKind {
  readonly handle: FoldHandle<VersionedTable>
  readonly changes: ChangedKeys
  readonly ids: SortedIds
  /** False when the fold runs without noting its changes: every change then costs a scan. */
  readonly isNoted: boolean
  isScanned: boolean
  scannedRevision: number
  nextScanMs: number
  /** What of its table the index reflects: JSON numbers by partition, and the revision for which they hold. */
  offsets: string
  offsetsRevision: number
}

/** Scans of a table that does not note its changes take at most this part of the time. */
const SCAN_SHARE = 20
const TIME_MAX = Number.MAX_SAFE_INTEGER
/** JSON of items is kept for at most this many; then all is made again as it is asked for. */
const JSON_ITEMS_MAX = 50_000
/** Codes of items: twice the place of the kind, plus 1 when it is listed. */
const CODE_NONE = 0xffff

/** Consumed offsets of a fold by partition, as a JSON array. */
export function offsetsOf(handle: {
  shards(): readonly unknown[]
  consumed(partition: number): number
}): string {
  return `[${Array.from(handle.shards(), (_, partition) => handle.consumed(partition)).join(',')}]`
}

/** See the head of the file. */
export class ItemIndex {
  readonly space: ItemSpace
  readonly traits = new TraitIndex()
  readonly #kinds = new Map<string, KindState>()
  #codes = new Uint16Array(0)
  #coded = 0
  #attributes: (Attributes | undefined)[] = []
  #putMs = new Float64Array(0)
  /** By number. */
  #json: (ItemJson | undefined)[] = []
  #jsonItems = 0
  #revision = 0
  #offsets = '[]'
  readonly #clock: Clock

  constructor(ports: { app: App; streams: Pick<Streams, 'fold'>; clock: Clock }) {
    const { app, streams } = ports
    this.#clock = ports.clock
    this.space = itemSpaceOf(app)
    for (const definition of app.options.items ?? []) {
      const fields = Object.entries(definition.fields)
      const isPersonal = fields.some(([, field]) => field.isPersonal)
      const handle = streams.fold<VersionedTable>(tableFoldName(definition.name))
      this.#kinds.set(definition.name, {
        name: definition.name,
        code: this.#kinds.size,
        fields: definition.fields,
        publicFields: isPersonal
          ? fields.filter(([, field]) => !field.isPersonal).map(([name]) => name)
          : undefined,
        traitFields: fields.filter(([, field]) => isTraitField(field)).map(([name]) => name),
        handle,
        isNoted: notesChanges(handle.definition),
        scannedRevision: -1,
        nextScanMs: -Infinity,
        offsets: '',
        offsetsRevision: -1,
        changes: subscribeTable(app, definition.name),
        ids: new SortedIds(),
        isScanned: false,
      })
    }
  }

  /** The declared kinds. */
  kinds(): Iterable<ItemKind> {
    return this.#kinds.values()
  }

  kind(name: string): ItemKind | undefined {
    return this.#kinds.get(name)
  }

  /** Takes in what changed. Cheap when nothing did; call it before a series of reads. */
  refresh(): void {
    for (const kind of this.#kinds.values()) {
      if (!kind.isScanned) this.#scan(kind)
      else if (!kind.isNoted) this.#rescan(kind)
      else if (kind.changes.size > 0) {
        for (const id of kind.changes.take()) this.#update(kind, id)
      }
      if (kind.isNoted) this.#note(kind)
    }
    if (this.#coded < this.space.size) this.#code()
  }

  #scan(kind: KindState): void {
    kind.isScanned = true
    kind.scannedRevision = kind.handle.revision()
    kind.changes.take()
    for (const shard of kind.handle.shards()) {
      for (const id of shard.keys()) this.#update(kind, id)
    }
    this.#note(kind)
  }

  #note(kind: KindState): void {
    const revision = kind.handle.revision()
    if (revision === kind.offsetsRevision) return
    kind.offsetsRevision = revision
    kind.offsets = offsetsOf(kind.handle).slice(1, -1)
    this.#offsets = `[${[...this.#kinds.values()].map(({ offsets }) => offsets).join(',')}]`
  }

  /** Consumed offsets of the tables that it reflects as a JSON array: by kind, then by partition. */
  get offsets(): string {
    return this.#offsets
  }

  /** Scans again when the table changed, so rarely that it takes a small share of the time. */
  #rescan(kind: KindState): void {
    if (kind.handle.revision() === kind.scannedRevision) return
    const startMs = this.#clock.monotonicMs()
    if (startMs < kind.nextScanMs) return
    this.#scan(kind)
    const tookMs = this.#clock.monotonicMs() - startMs
    kind.nextScanMs = startMs + tookMs * SCAN_SHARE
  }

  /** Grows when an item was put, changed or removed. */
  get revision(): number {
    return this.#revision
  }

  #update(kind: KindState, id: string): void {
    const shard = kind.handle.shardOf(id)
    const attributes = shard.asOf(id, TIME_MAX) as Attributes | undefined
    const number = this.space.intern(itemKey(kind.name, id))
    this.#code()
    if (attributes === this.#attributes[number] && attributes !== undefined) return
    const wasListed = this.isListed(number)
    this.#revision += 1
    this.#attributes[number] = attributes
    this.#forgetJson(number)
    this.#codes[number] = kind.code * 2 + (attributes === undefined ? 0 : 1)
    this.#putMs[number] = shard.sinceMs(id) ?? 0
    this.traits.set(number, kind, attributes)
    if (attributes !== undefined && !wasListed) kind.ids.add(id)
    else if (attributes === undefined && wasListed) kind.ids.remove(id)
  }

  /** Gives codes to items that were met since. */
  #code(): void {
    const { size } = this.space
    if (size > this.#codes.length) {
      const length = Math.max(size, Math.ceil(this.#codes.length * 1.5), 256)
      const codes = new Uint16Array(length)
      codes.set(this.#codes)
      this.#codes = codes
      const putMs = new Float64Array(length)
      putMs.set(this.#putMs)
      this.#putMs = putMs
    }
    for (; this.#coded < size; this.#coded++) {
      const { kind } = partsOfKey(this.space.keyOf(this.#coded))
      const known = this.#kinds.get(kind)
      this.#codes[this.#coded] = known === undefined ? CODE_NONE : known.code * 2
    }
  }

  /** Code of each item by number: twice the place of its kind, plus 1 when it is listed. */
  get codes(): Uint16Array {
    return this.#codes
  }

  isListed(number: number): boolean {
    const code = this.#codes[number]
    return code !== undefined && code !== CODE_NONE && (code & 1) === 1
  }

  /** How many items of a kind are listed. */
  countOf(kind: string): number {
    return this.#kinds.get(kind)?.ids.size ?? 0
  }

  /** Current attributes of an item by number. */
  attributesOf(number: number): Attributes | undefined {
    return this.#attributes[number]
  }

  /** Attributes without the personal ones. */
  publicAttributesOf(number: number): Attributes | undefined {
    const attributes = this.#attributes[number]
    if (attributes === undefined) return undefined
    const kind = this.#kinds.get(partsOfKey(this.space.keyOf(number)).kind)
    if (kind?.publicFields === undefined) return attributes
    return Object.fromEntries(
      kind.publicFields.filter(name => name in attributes).map(name => [name, attributes[name]]),
    )
  }

  /** What answers say of an item by number; made once for each version of its attributes. */
  jsonOf(number: number): ItemJson {
    return this.#json[number] ?? this.#makeJson(number)
  }

  #makeJson(number: number): ItemJson {
    const key = this.space.keyOf(number)
    const { kind, id } = partsOfKey(key)
    const attributes = this.publicAttributesOf(number)
    const end = attributes === undefined ? '},' : `,"attributes":${JSON.stringify(attributes)}},`
    const begin = `[${JSON.stringify(key)}`
    const name = `{"kind":${JSON.stringify(kind)},"id":${JSON.stringify(id)}`
    const nameAt = Buffer.byteLength(begin)
    const json: ItemJson = {
      bytes: Buffer.from(`${begin}${name}${end}`, 'utf8'),
      nameAt,
      attributesAt: nameAt + Buffer.byteLength(name),
    }
    if (this.#jsonItems >= JSON_ITEMS_MAX) {
      this.#json = []
      this.#jsonItems = 0
    }
    this.#json[number] = json
    this.#jsonItems += 1
    return json
  }

  #forgetJson(number: number): void {
    if (this.#json[number] === undefined) return
    this.#json[number] = undefined
    this.#jsonItems -= 1
  }

  /** When a listed item was first put, event time in milliseconds. */
  putMsOf(number: number): number {
    return this.#putMs[number] ?? 0
  }

  /** Ids of the listed items of a kind after `after`, in order of their UTF-16 units. */
  page(
    kind: string,
    options: { after?: string | undefined; prefix?: string | undefined; limit: number },
  ): readonly string[] {
    return this.#kinds.get(kind)?.ids.page(options) ?? []
  }

  /** The listed items of a kind, by number. */
  *listed(kind: string): Iterable<number> {
    const known = this.#kinds.get(kind)
    if (known === undefined) return
    for (const id of known.ids.all()) yield this.space.find(itemKey(kind, id))
  }

  close(): void {
    for (const kind of this.#kinds.values()) kind.changes.close()
  }
}
