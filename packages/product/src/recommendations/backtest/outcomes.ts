/**
 * What came of past answers, and with which chance each pipeline would have shown what was shown: the
 * columns that off-policy estimates are made from. A slot earned 1 when its person acted on its item,
 * with a signal above 0, within a time after the answer, and no later answer showed it before that;
 * else 0.
 */
import type { App, SignalDefinition } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { LoggedChoices } from '@millrace/recommend'
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

  /** Takes an answer of a person, with the chance of each of its slots under the other pipeline. */
  add(exposure: Exposure, atMs: number, targets: Float64Array): void {
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

  /** What was found. */
  choices(): LoggedChoices {
    return {
      rewards: Float64Array.from(this.#rewards),
      propensities: Float64Array.from(this.#propensities),
      targets: Float64Array.from(this.#targets),
      clusters: Int32Array.from(this.#clusters),
    }
  }
}
