/**
 * Feature views by brute force: lists of events, filtered and added up anew for each value. It knows
 * what ADR 24 says and nothing of tiles that are kept, entities that are numbered or bytes: what the
 * shard, a rebuild, a training set and a request give is compared with it to the bit.
 */
import assert from 'node:assert/strict'
import {
  durationMs,
  tiledWindow,
  type AnyFeatureView,
  type AnyTables,
  type EventValue,
  type FeatureAggregation,
  type FeatureDefinition,
  type FeatureValue,
} from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { hashOf } from '../aggregations/distinct.ts'
import { CELL_STATUS } from '../cell-row.ts'
import { alternating } from './definitions.ts'
import type { AnyEvent } from '../plan.ts'

/** A value with its status. */
export type NaiveCell = readonly [value: unknown, status: number]

/** What a feature took of an event. */
interface Input {
  readonly value: unknown
  readonly over: number
  readonly atMs: number
}

/** An event that counted, with what each feature took of it. */
interface Taken {
  readonly atMs: number
  readonly inputs: ReadonlyMap<string, Input>
}

/** Versions of the rows of tables, as of event time. */
export interface NaiveTables {
  asOf(kind: string, id: string, timeMs: number): unknown
}

type Naive = (
  tiles: readonly (readonly Input[])[],
  aggregation: FeatureAggregation,
  tMs: number,
) => FeatureValue

const numbers = (inputs: readonly Input[]): readonly number[] =>
  inputs.map(({ value }) => value as number)
const textsOf = (inputs: readonly Input[]): readonly string[] =>
  inputs.map(({ value }) => value as string)
const sum = (addends: readonly number[]): number => addends.reduce((all, each) => all + each, 0)
/** Added up within each tile, then over the tiles: floating-point numbers have this one order. */
const tiled = (tiles: readonly (readonly Input[])[], of: (input: Input) => number): number =>
  sum(tiles.map(tile => sum(tile.map(of))))

/** All events by (event time, position): tiles are in the order of time, their events in that of the log. */
const byTime = (tiles: readonly (readonly Input[])[]): readonly Input[] =>
  tiles.flat().sort((a, b) => a.atMs - b.atMs)

/** How many numbers there are, their mean, and the sum of squared distances from it. */
type Moments = readonly [count: number, mean: number, squares: number]

/** Welford's recurrence: the mean moves by a share of each number's distance from it. */
const momentsOf = (all: readonly number[]): Moments =>
  all.reduce<Moments>(
    ([count, mean, squares], value) => {
      const moved = mean + (value - mean) / (count + 1)
      return [count + 1, moved, squares + (value - mean) * (value - moved)]
    },
    [0, 0, 0],
  )

/** Two parts as one, after Chan, Golub and LeVeque. */
const joined = ([n, mean, squares]: Moments, [m, other, more]: Moments): Moments => {
  const apart = other - mean
  const all = n + m
  return [all, mean + (apart * m) / all, squares + (more + apart * apart * ((n * m) / all))]
}

/** Each number as half as much worth after every half-life, brought to the newest event, then to `tMs`. */
function faded(inputs: readonly Input[], halfLifeMs: number, tMs: number): number {
  const factor = (elapsedMs: number): number => Math.exp((-Math.LN2 * elapsedMs) / halfLifeMs)
  let newestMs = Number.NEGATIVE_INFINITY
  let all = 0
  for (const { value, atMs } of inputs) {
    const weight = value as number
    if (atMs < newestMs) all += weight * factor(newestMs - atMs)
    else {
      all = (all === 0 ? 0 : all * factor(atMs - newestMs)) + weight
      newestMs = atMs
    }
  }
  return all * factor(tMs - newestMs)
}

type Of<K extends FeatureAggregation['kind']> = Extract<FeatureAggregation, { kind: K }>

/** The number in the middle of its bin: bins grow by gamma from 1e-9 on. */
function rounded(value: number, error: number): number {
  const magnitude = Math.min(Math.abs(value), 1e15)
  if (magnitude < 1e-9) return 0
  const gamma = (1 + error) / (1 - error)
  const bin = Math.ceil(Math.log(magnitude) / Math.log(gamma))
  return (Math.sign(value) * 2 * gamma ** bin) / (gamma + 1)
}

/** Numbers at ranks of the sorted list; each is within `error` of what stands for it. */
function atShares(all: readonly number[], shares: readonly number[], error: number): number[] {
  const sorted = all.toSorted((a, b) => a - b)
  return shares.map(share => {
    const exact = sorted[Math.floor(share * (sorted.length - 1))] as number
    const told = rounded(exact, error)
    if (Math.abs(exact) >= 1e-9 && Math.abs(exact) <= 1e15) {
      assert.ok(Math.abs(told - exact) <= Math.abs(exact) * error * (1 + 1e-9), 'the stated error')
    }
    return told
  })
}

/** Registers from the hashes of all values, and Ertl's estimate of them by its sums. */
function roughCount(values: readonly string[], precision: number): number {
  const m = 2 ** precision
  const ranks = new Map<number, number>()
  for (const value of new Set(values)) {
    const bits = hashOf(value).toString(2).padStart(53, '0')
    const rank = `${bits.slice(precision)}1`.indexOf('1') + 1
    const register = parseInt(bits.slice(0, precision), 2)
    ranks.set(register, Math.max(rank, ranks.get(register) ?? 0))
  }
  const q = 53 - precision
  const share = (rank: number): number => [...ranks.values()].filter(own => own === rank).length / m
  const tail = (x: number): number => {
    let z = 1 - x
    for (let at = 1; at < 1_100; at++) z -= (1 - x ** (2 ** -at)) ** 2 * 2 ** -at
    return x === 0 || x === 1 ? 0 : z / 3
  }
  const head = (x: number): number => {
    let z = x
    for (let at = 1; at < 60; at++) z += x ** (2 ** at) * 2 ** (at - 1)
    return z
  }
  let z = m * tail(1 - share(q + 1)) * 2 ** -q
  for (let rank = 1; rank <= q; rank++) z += m * share(rank) * 2 ** -rank
  return (m * m) / (2 * Math.LN2 * (z + m * head(1 - ranks.size / m)))
}

type Counts = readonly [counts: ReadonlyMap<string, number>, lost: number]

/** Takes as much from all counts as leaves no more than `capacity`. */
function fewer([counts, lost]: Counts, capacity: number): Counts {
  if (counts.size <= capacity) return [counts, lost]
  const by = [...counts.values()].toSorted((a, b) => b - a)[capacity] as number
  const left = [...counts].filter(([, own]) => own > by)
  return [new Map(left.map(([text, own]) => [text, own - by])), lost + by]
}

function plus([a, lost]: Counts, [b, more]: Counts): Counts {
  const all = [...new Set([...a.keys(), ...b.keys()])]
  return [new Map(all.map(text => [text, (a.get(text) ?? 0) + (b.get(text) ?? 0)])), lost + more]
}

/** Each aggregation over the tiles of its window that have events, the oldest first. */
export const NAIVE: Readonly<Record<string, Naive>> = {
  count: tiles => tiles.flat().length,
  sum: tiles => sum(tiles.map(tile => sum(numbers(tile)))),
  ratio(tiles) {
    const over = tiled(tiles, input => input.over)
    return over === 0 ? NaN : tiled(tiles, ({ value }) => value as number) / over
  },
  mean: tiles => sum(tiles.map(tile => sum(numbers(tile)))) / tiles.flat().length,
  variance(tiles) {
    const [first, ...others] = tiles.map(tile => momentsOf(numbers(tile)))
    const [count, , squares] = others.reduce(joined, first as Moments)
    return squares / count
  },
  min: tiles => Math.min(...numbers(tiles.flat())),
  max: tiles => Math.max(...numbers(tiles.flat())),
  first: tiles => byTime(tiles)[0]?.value as number,
  last: tiles => byTime(tiles).at(-1)?.value as number,
  histogram(tiles, aggregation) {
    const { bounds } = aggregation as Extract<FeatureAggregation, { kind: 'histogram' }>
    const all = numbers(tiles.flat())
    return [Number.NEGATIVE_INFINITY, ...bounds].map(
      (from, at) => all.filter(value => value >= from && value < (bounds[at] ?? Infinity)).length,
    )
  },
  decayed(tiles, aggregation, tMs) {
    const { halfLife, per } = aggregation as Extract<FeatureAggregation, { kind: 'decayed' }>
    const halfLifeMs = durationMs(halfLife)
    const value = faded(tiles.flat(), halfLifeMs, tMs)
    return per === undefined ? value : ((Math.LN2 * durationMs(per)) / halfLifeMs) * value
  },
  firstText: tiles => byTime(tiles)[0]?.value as string,
  lastText: tiles => byTime(tiles).at(-1)?.value as string,
  lastNumbers: (tiles, aggregation) =>
    numbers(byTime(tiles)).slice(-(aggregation as Of<'lastNumbers' | 'lastTexts'>).n),
  lastTexts: (tiles, aggregation) => textsOf(byTime(tiles)).slice(-(aggregation as Of<'lastNumbers' | 'lastTexts'>).n), // prettier-ignore
  distinct(tiles, aggregation) {
    const values = textsOf(tiles.flat())
    const precision = Math.ceil(Math.log2((1.04 / (aggregation as Of<'distinct'>).error) ** 2))
    const exact = new Set(values).size
    return exact <= 2 ** precision / 8 ? exact : roughCount(values, precision)
  },
  quantile(tiles, aggregation) {
    const { q, error } = aggregation as Of<'quantile'>
    return atShares(numbers(tiles.flat()), [q], error)[0] as number
  },
  quantiles(tiles, aggregation) {
    const { q, error } = aggregation as Of<'quantiles'>
    return atShares(numbers(tiles.flat()), q, error)
  },
  topTexts(tiles, aggregation) {
    const { k, capacity } = aggregation as Of<'topTexts'>
    const one = (text: string): Counts => [new Map([[text, 1]]), 0]
    const folded = tiles.map(
      tile =>
      textsOf(tile).map(one).reduce((all, next) => fewer(plus(all, next), capacity)), // prettier-ignore
    )
    const [counts, lost] = folded.reduce((all, next) => fewer(plus(all, next), capacity))
    const all = textsOf(tiles.flat())
    assert.ok(lost <= all.length / (capacity + 1), 'the stated error')
    for (const text of all) {
      const missed = all.filter(other => other === text).length - (counts.get(text) ?? 0)
      assert.ok(missed >= 0 && missed <= lost, 'the stated error')
    }
    return [...counts]
      .toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
      .slice(0, k)
      .map(([text]) => text)
  },
  span(tiles) {
    const times = tiles.flat().map(({ atMs }) => atMs)
    return Math.max(...times) - Math.min(...times)
  },
  sessions(tiles, aggregation) {
    const gapMs = durationMs((aggregation as Of<'sessions'>).gap)
    const times = byTime(tiles).map(({ atMs }) => atMs)
    return times.filter((atMs, at) => at === 0 || atMs - (times[at - 1] as number) > gapMs).length
  },
  custom(tiles, _aggregation, tMs) {
    const folded = tiles.map(tile => numbers(tile).reduce(alternating.add, alternating.init()))
    return alternating.read(folded.reduce(alternating.merge), { atMs: tMs }) ?? NaN
  },
}

/** See the head of the file. */
export class NaiveView {
  readonly #view: AnyFeatureView
  readonly #tables: NaiveTables
  readonly #features: readonly (readonly [string, FeatureDefinition])[]
  /** By key and sub-key, in the order of their activity. */
  readonly #entities = new Map<string, Map<string, Taken[]>>()
  readonly #failed = new Map<string, Set<string>>()
  #watermarkMs = Number.NEGATIVE_INFINITY

  constructor(view: AnyFeatureView, tables: NaiveTables) {
    this.#view = view
    this.#tables = tables
    this.#features = Object.entries(view.definitions)
  }

  get watermarkMs(): number {
    return this.#watermarkMs
  }

  /** Takes the next record of the log. */
  take(record: LogRecord): void {
    this.#watermarkMs = Math.max(this.#watermarkMs, record.watermarkMs)
    const { type, id, eventTimeMs: atMs, data } = record
    if (!this.#view.from.some(({ name }) => name === type)) return
    const event = { type, id, atMs, data } as AnyEvent
    const tables = this.#tablesAt(atMs)
    const key = (data as Readonly<Record<string, string>>)[this.#view.key] as string
    const subKeys = this.#subKeysOf(key, event, tables)
    if (subKeys.length === 0) return
    const inputs = this.#inputsOf(key, event, tables)
    if (inputs.size === 0) return
    for (const subKey of subKeys) {
      const taken = this.#claim(key, subKey)
      taken.push({ atMs, inputs })
      for (const name of inputs.keys()) if (this.#isFaulty(name, taken, atMs)) this.#fail(key, name)
    }
  }

  /** True when the custom aggregation throws at the event that came last. */
  #isFaulty(name: string, taken: readonly Taken[], atMs: number): boolean {
    const { aggregation, window } = this.#view.definitions[name] as FeatureDefinition
    const tileOf = (ms: number): number => Math.floor(ms / tiledWindow(window).stepMs)
    const together = taken.filter(other => other.inputs.has(name) && tileOf(other.atMs) === tileOf(atMs)) // prettier-ignore
    return aggregation.kind === 'custom' && together.length > 6
  }

  /** Sub-keys of a key that say something. */
  subKeys(key: string): readonly string[] {
    const entities = [...(this.#entities.get(key) ?? [])]
    return entities.filter(([, taken]) => this.#isAlive(taken)).map(([subKey]) => subKey)
  }

  /** The value of a feature at a moment that is not before the watermark. */
  cell(key: string, subKey: string, name: string, tMs: number): NaiveCell {
    const definition = this.#view.definitions[name] as FeatureDefinition
    const fallback = definition.default
    if (this.#failed.get(key)?.has(name) === true) return [fallback, CELL_STATUS.failed]
    const taken = this.#entities.get(key)?.get(subKey) ?? []
    const value = valueOf(definition, taken.flatMap(({ inputs }) => inputs.get(name) ?? []), tMs) // prettier-ignore
    if (Number.isNaN(value)) return [fallback, CELL_STATUS.default]
    if (value === Infinity || value === Number.NEGATIVE_INFINITY)
      return [fallback, CELL_STATUS.failed]
    const ageMs = tMs - Math.max(...taken.map(({ atMs }) => atMs))
    const { ttl, freshness } = this.#view
    if (ttl !== undefined && ageMs > durationMs(ttl)) return [fallback, CELL_STATUS.expired]
    const isStale = freshness !== undefined && ageMs > durationMs(freshness)
    return [value, isStale ? CELL_STATUS.stale : CELL_STATUS.value]
  }

  #tablesAt(atMs: number): AnyTables {
    return Object.fromEntries(
      Object.entries(this.#view.join).map(([alias, { name }]) => [
        alias,
        (id: string) => this.#tables.asOf(name, id, atMs),
      ]),
    )
  }

  /** Where the event counts; when what tells it throws, all features of the key failed. */
  #subKeysOf(key: string, event: AnyEvent, tables: AnyTables): readonly string[] {
    const { pair } = this.#view
    if (pair === undefined) return ['']
    try {
      const found = pair.of(event, tables) ?? []
      return Array.isArray(found) ? [...new Set(found as string[])] : [found as string]
    } catch {
      for (const [name] of this.#features) this.#fail(key, name)
      return []
    }
  }

  /** What each feature takes of an event that is not too old for it. */
  #inputsOf(key: string, event: AnyEvent, tables: AnyTables): Map<string, Input> {
    const inputs = new Map<string, Input>()
    for (const [name, definition] of this.#features) {
      if (this.#failed.get(key)?.has(name) === true) continue
      try {
        if (definition.where !== undefined && definition.where(event, tables) !== true) continue
        const value = (TAKEN[definition.aggregation.kind] ?? amount)(definition.of, event, tables)
        const over = amount(definition.over, event, tables)
        if (value === undefined || over === undefined) continue
        const input = { value, over: over as number, atMs: event.atMs }
        if (this.#isKept(definition, event.atMs)) inputs.set(name, input)
      } catch {
        this.#fail(key, name)
      }
    }
    return inputs
  }

  #fail(key: string, name: string): void {
    this.#failed.set(key, (this.#failed.get(key) ?? new Set()).add(name))
  }

  /** The events of an entity, which becomes the most recently active one; one that says nothing any more begins anew. */
  #claim(key: string, subKey: string): Taken[] {
    const entities = this.#entities.get(key) ?? new Map<string, Taken[]>()
    this.#entities.set(key, entities)
    const known = entities.get(subKey) ?? []
    const taken = this.#isAlive(known) ? known : []
    const isNew = !entities.delete(subKey)
    const max = this.#view.pair?.max ?? Infinity
    if (isNew && entities.size >= max) {
      for (const [other, others] of entities) if (!this.#isAlive(others)) entities.delete(other)
      const [oldest] = entities.keys()
      if (entities.size >= max) entities.delete(oldest as string)
    }
    entities.set(subKey, taken)
    return taken
  }

  #isAlive(taken: readonly Taken[]): boolean {
    return taken.some(
      ({ atMs, inputs }) =>
      [...inputs.keys()].some(name => this.#isKept(this.#view.definitions[name] as FeatureDefinition, atMs)), // prettier-ignore
    )
  }

  /** False once the watermark has left the longest window of the view that has the same steps. */
  #isKept(definition: FeatureDefinition, atMs: number): boolean {
    const { stepMs } = tiledWindow(definition.window)
    if (stepMs === Infinity) return true
    const windows = this.#features.map(([, { window }]) => tiledWindow(window))
    const tiles = Math.max(...windows.filter(own => own.stepMs === stepMs).map(own => own.count))
    return Math.floor(atMs / stepMs) > Math.floor(this.#watermarkMs / stepMs) - tiles
  }
}

/** A text of the event. */
function textIn(value: EventValue | undefined, event: AnyEvent, tables: AnyTables): unknown {
  const data = event.data as Readonly<Record<string, unknown>>
  const found = typeof value === 'string' ? data[value] : value?.(event, tables)
  return typeof found === 'string' ? found.replaceAll('\ud800', '\ufffd') : undefined
}

/** What counts other than numbers. */
const TAKEN: Readonly<Record<string, typeof amount>> = {
  firstText: textIn,
  lastText: textIn,
  lastTexts: textIn,
  topTexts: textIn,
  distinct: (value, event, tables) =>
    textIn(value, event, tables) ?? amount(value, event, tables)?.toString(),
}

/** A number of the event; undefined when the event does not count. Throws for what is no value. */
function amount(value: EventValue | undefined, event: AnyEvent, tables: AnyTables): unknown {
  if (value === undefined) return 1
  const data = event.data as Readonly<Record<string, unknown>>
  const found = typeof value === 'string' ? data[value] : value(event, tables)
  if (found === undefined || found === null) return undefined
  if (typeof found === 'boolean') return found ? 1 : 0
  // There is no negative zero in JSON.
  if (typeof found === 'number' && Number.isFinite(found)) return found === 0 ? 0 : found
  throw new TypeError('it is no value')
}

/** The events of the session that `tMs` is in, in their order; of later ones in the step of the moment, too. */
function lastSession(inputs: readonly Input[], gapMs: number, tMs: number): readonly Input[] {
  const ended = (Math.floor(tMs / gapMs) + 1) * gapMs
  const times = inputs.map(({ atMs }) => atMs).filter(atMs => atMs < ended).sort((a, b) => b - a) // prettier-ignore
  const [newestMs = -Infinity] = times
  const isEmpty = tMs - newestMs > gapMs
  let fromMs = newestMs
  for (const atMs of times) if (fromMs - atMs <= gapMs) fromMs = atMs
  return isEmpty ? [] : inputs.filter(({ atMs }) => atMs >= fromMs)
}

/** NaN without events. */
function valueOf(
  definition: FeatureDefinition,
  inputs: readonly Input[],
  tMs: number,
): FeatureValue {
  const { stepMs, count, gapMs } = tiledWindow(definition.window)
  const newest = Math.floor(tMs / stepMs)
  const tiles = new Map<number, Input[]>()
  for (const input of gapMs === undefined ? inputs : lastSession(inputs, gapMs, tMs)) {
    const tile = Math.floor(input.atMs / stepMs)
    if (tile > newest || tile <= newest - count) continue
    tiles.set(tile, [...(tiles.get(tile) ?? []), input])
  }
  if (tiles.size === 0) return NaN
  const ordered = [...tiles].sort(([a], [b]) => a - b).map(([, tile]) => tile)
  return (NAIVE[definition.aggregation.kind] as Naive)(ordered, definition.aggregation, tMs)
}
