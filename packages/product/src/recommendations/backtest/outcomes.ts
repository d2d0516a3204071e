/**
 * What came of past answers, and with which chance each pipeline would have shown what was shown: the
 * columns that off-policy estimates are made from. A slot earned 1 when its person acted on its item,
 * with a signal above 0, within a time after the answer, and no later answer showed it before that;
 * else 0.
 */
import type { App, SignalDefinition } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { expectRewards, type LoggedChoices } from '@millrace/recommend'
import { itemKey } from '../../catalogue/index.ts'
import type { Exposure } from '../events.ts'

/** Slots that are judged; later ones of a longer span are not. */
export const SLOTS_JUDGED_MAX = 2_000_000

interface Waiting {
  readonly atMs: number
  readonly exposure: Exposure
  /** Place of its first slot in the columns. */
  readonly first: number
}

/** See the head of the file. */
export class Outcomes {
  readonly withinMs: number
  readonly #signals = new Map<string, SignalDefinition[]>()
  readonly #waiting = new Map<string, Waiting[]>()
  readonly #people = new Map<string, number>()
  readonly #rewards: number[] = []
  readonly #propensities: number[] = []
  readonly #targets: number[] = []
  readonly #clusters: number[] = []
  readonly #slots: number[] = []
  readonly #shown: number[] = []
  readonly #bests: number[] = []
  readonly #bestChances: number[] = []

  constructor(app: App, withinMs: number) {
    this.withinMs = withinMs
    for (const signal of app.options.signals ?? []) {
      const known = this.#signals.get(signal.event.name)
      if (known === undefined) this.#signals.set(signal.event.name, [signal])
      else known.push(signal)
    }
  }

  /** True while slots are taken. */
  get isOpen(): boolean {
    return this.#rewards.length < SLOTS_JUDGED_MAX
  }

  /** Takes an answer of a person, with what the other pipeline would have done in each of its slots. */
  add(exposure: Exposure, atMs: number, { shown, targets, bests, bestChances }: JudgedList): void {
    const { p: person } = exposure
    if (person === undefined) return
    const entry = { atMs, exposure, first: this.#rewards.length }
    const own = this.#waiting.get(person)
    if (own === undefined) this.#waiting.set(person, [entry])
    else own.push(entry)
    let cluster = this.#people.get(person)
    if (cluster === undefined) this.#people.set(person, (cluster = this.#people.size))
    exposure.i.forEach(([, , , propensity], slot) => {
      this.#rewards.push(0)
      this.#propensities.push(propensity)
      this.#targets.push(targets[slot] as number)
      this.#clusters.push(cluster)
      this.#slots.push(slot)
      this.#shown.push(shown[slot] as number)
      this.#bests.push(bests[slot] as number)
      this.#bestChances.push(bestChances[slot] as number)
    })
  }

  /** Hears what people did, in the order of the log; answers before it were added before. */
  readonly note = (record: LogRecord): void => {
    const own = this.#waiting.get(record.key)
    if (own === undefined) return
    for (const signal of this.#signals.get(record.type) ?? []) {
      const data = record.data as Readonly<Record<string, unknown>>
      if (!(signal.weight(data as never) > 0)) continue
      const key = itemKey(signal.itemKind, data[signal.item] as string)
      for (const { atMs, exposure, first } of own.toReversed()) {
        const afterMs = record.eventTimeMs - atMs
        if (afterMs < 0 || afterMs > this.withinMs) continue
        const slot = exposure.i.findIndex(([item]) => item === key)
        if (slot < 0) continue
        this.#rewards[first + slot] = 1
        break
      }
    }
    const open = own.filter(({ atMs }) => atMs + this.withinMs >= record.eventTimeMs)
    if (open.length === 0) this.#waiting.delete(record.key)
    else if (open.length < own.length) this.#waiting.set(record.key, open)
  }

  /** What was found, with what a model of it expects. */
  choices(): LoggedChoices {
    const listed = {
      rewards: Float64Array.from(this.#rewards),
      clusters: Int32Array.from(this.#clusters),
      slots: Int32Array.from(this.#slots),
      shown: Int32Array.from(this.#shown),
      best: Int32Array.from(this.#bests),
      bestChances: Float64Array.from(this.#bestChances),
    }
    return {
      rewards: listed.rewards,
      clusters: listed.clusters,
      propensities: Float64Array.from(this.#propensities),
      targets: Float64Array.from(this.#targets),
      ...expectRewards(listed),
    }
  }
}

/** An answer that was shown, slot by slot, each after those above it as they were shown. */
export interface JudgedList {
  /** Numbers of the items that were shown. */
  readonly shown: Int32Array
  /** The chance that each had under the other pipeline. */
  readonly targets: Float64Array
  /** Which item that one ranks best there, -1 for none, and with which chance it shows it. */
  readonly bests: Int32Array
  readonly bestChances: Float64Array
}
