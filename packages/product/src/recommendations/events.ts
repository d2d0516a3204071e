/** Streams and records of the recommendations module. */
import type { App } from '@millrace/core'
import type { StreamSpec } from '@millrace/log'
import type { ItemSpace } from '../catalogue/index.ts'

/** What people did, re-keyed by item: one record per event and partition, under the keys of all items that it touches. */
export const ITEM_SIGNALS = 'item-signals'
/** Type of the records of `item-signals`. */
export const ITEM_SIGNAL = 'item-signal'
/** What was served, keyed by person. */
export const EXPOSURES = 'exposure'
/** Type of the records of `exposure`. */
export const EXPOSED = 'exposed'

/**
 * One partition: a record then carries all items of an event, and one event makes one record. With
 * more, an event makes up to one record for each. Statistics of items are folded by one loop of one
 * process either way; a deployment that spreads them declares another stream.
 */
const ITEM_SIGNAL_PARTITIONS = 1

/** The streams of the module. */
export function recommendationStreams(app: App): readonly StreamSpec[] {
  return [
    { name: ITEM_SIGNALS, partitions: ITEM_SIGNAL_PARTITIONS, latenessMs: app.latenessMs },
    { name: EXPOSURES, partitions: app.partitions },
  ]
}

/**
 * Data of an `item-signal`: facts only, so that another way to weigh them needs no new records. The
 * items are the keys of the record: first the one acted on, then those before, newest first. Where
 * they fall into several partitions, no record has all of them as keys, and `item` and `from` name them.
 */
export interface ItemSignal {
  readonly weight: number
  /** How many milliseconds before, for each of the distinct items that the person acted on before; not below 0. */
  readonly gaps: readonly number[]
  /** Key of the item that the person acted on; absent when it is the first key of the record. */
  readonly item?: string
  /** Keys of the items before, newest first, those of other partitions included; absent when they are the other keys of the record. */
  readonly from?: readonly string[]
}

/**
 * An `item-signal` with the numbers of its items, as long as it is in the memory of the process that
 * made it: who reads it there need not look the keys up. The numbers are no part of its JSON.
 */
export class NumberedSignal implements ItemSignal {
  readonly weight: number
  readonly gaps: readonly number[]
  readonly #space: ItemSpace
  readonly #items: readonly number[]

  constructor(
    space: ItemSpace,
    signal: {
      readonly weight: number
      readonly gaps: readonly number[]
      readonly items: readonly number[]
    },
  ) {
    this.weight = signal.weight
    this.gaps = signal.gaps
    this.#space = space
    this.#items = signal.items
  }

  /** The numbers of the record's keys in `space`, when they came along. */
  static itemsOf(signal: ItemSignal, space: ItemSpace): readonly number[] | undefined {
    return #items in signal && signal.#space === space ? signal.#items : undefined
  }
}

/** One slot of an exposure: item key, place of its main source in `c`, score, propensity, 1 if explored. */
export type ExposedSlot = readonly [
  item: string,
  source: number,
  score: number,
  propensity: number,
  explored: 0 | 1,
]

/**
 * Up to which offsets the state was folded that answered: of the person's partition of the stream
 * `person`, of the partitions of `item-signals`, of the same when the lists that everybody shares
 * were made, of the tables of items (by kind, then by partition), and of these when the lists were
 * made, if they had other offsets then.
 */
export type ExposedState = readonly [
  person: number,
  signals: readonly number[],
  listSignals: readonly number[],
  items: readonly number[],
  listItems?: readonly number[],
]

/** What was asked, as far as it was not the usual. */
export interface ExposedRequest {
  /** Number of items. */
  readonly n?: number
  /** Keys of items that must not appear. */
  readonly x?: readonly string[]
  /** Key of the item that the person looked at. */
  readonly i?: string
  /** What it told features of the context. */
  readonly c?: Readonly<Record<string, unknown>>
}

/** Data of an `exposed` record; short names, since there is one for every answer. */
export interface Exposure {
  /** Answer id; also the id of the record. */
  readonly a: string
  /** Surface. */
  readonly s: string
  /** Person; absent for an answer to nobody in particular. */
  readonly p?: string
  /** Fingerprint of the definition. */
  readonly d: string
  /** Version of the scoring code and its defaults. */
  readonly v: string
  /** Declared exploration share. */
  readonly e: number
  /** Position that the answer reflects. */
  readonly r: string
  /** Number of candidates. */
  readonly n: number
  /** Names of the surface's sources. */
  readonly c: readonly string[]
  /** With the id of the answer, whose hash is the seed of all that was drawn, enough to answer it again; absent from answers of older versions. */
  readonly x?: ExposedState
  /** How many records of corrections that state reflects, and that from which the lists were made; absent while there are none. */
  readonly k?: readonly [state: number, lists: number]
  /** Of a surface that ranks by features: up to which offsets each fold was folded that they were read from; of a fold of people, in the partition of the person alone; null where keys waited to be folded again. */
  readonly f?: Readonly<Record<string, readonly number[]>> | null
  readonly q?: ExposedRequest
  readonly i: readonly ExposedSlot[]
}
