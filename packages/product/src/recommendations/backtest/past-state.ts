/** The state that past answers were made from, one after the other. */
import { partitionOf, type App } from '@millrace/core'
import { tableFoldName, type FoldDefinition, type Sweep } from '@millrace/streams'
import type { ExposedState, Exposure } from '../events.ts'
import { ITEM_STATS_FOLD } from '../item-stats-fold.ts'
import { PROFILE_FOLD } from '../profile-fold.ts'
import type { AnswersAgain } from './again.ts'

const kindsOf = (app: App): readonly string[] => (app.options.items ?? []).map(({ name }) => name)

/** The folds that answers are made from, of all that run. */
export function foldsBehind(app: App, folds: readonly FoldDefinition[]): readonly FoldDefinition[] {
  const names = [PROFILE_FOLD, ITEM_STATS_FOLD, ...kindsOf(app).map(tableFoldName)]
  return names.map(name => folds.find(fold => fold.name === name) as FoldDefinition)
}

/** See the head of the file. It goes forward only. */
export class PastState {
  readonly #sweep: Sweep
  readonly #again: AnswersAgain
  /** The folds that answers share, with their partitions, in the order in which exposures tell their offsets. */
  readonly #shared: readonly { readonly fold: string; readonly partition: number }[]
  /** State from which the lists were made. */
  #lists = ''
  #corrected = 0

  constructor(app: App, sweep: Sweep, again: AnswersAgain) {
    this.#sweep = sweep
    this.#again = again
    this.#shared = [ITEM_STATS_FOLD, ...kindsOf(app).map(tableFoldName)].flatMap(fold =>
      Array.from(sweep.fold(fold).shards(), (_, partition) => ({ fold, partition })),
    )
  }

  /** Folds up to what an answer saw, and makes the lists that it saw; false when the state is past it. */
  async moveTo({ p, k = [0, 0] }: Exposure, state: ExposedState): Promise<boolean> {
    const [person, signals, listSignals, items, listItems = items] = state
    const [corrected, listCorrected] = k
    const lists = JSON.stringify([listSignals, listItems, listCorrected])
    const areOther = lists !== this.#lists
    const first = areOther ? [...listSignals, ...listItems] : [...signals, ...items]
    const sweep = this.#sweep
    const home = p === undefined ? -1 : partitionOf(p, sweep.fold(PROFILE_FOLD).shards().length)
    if ((areOther ? listCorrected : corrected) < this.#corrected || this.#isPast(first))
      return false
    if (home >= 0 && sweep.fold(PROFILE_FOLD).consumed(home) > person) return false
    if (areOther) {
      await this.#fold([...listSignals, ...listItems], listCorrected)
      this.#again.makeLists()
      this.#lists = lists
    }
    await this.#fold([...signals, ...items], corrected)
    if (home >= 0) await sweep.advance(PROFILE_FOLD, home, person)
    return true
  }

  #isPast(offsets: readonly number[]): boolean {
    return this.#shared.some(
      ({ fold, partition }, at) =>
        this.#sweep.fold(fold).consumed(partition) > (offsets[at] as number),
    )
  }

  async #fold(offsets: readonly number[], corrected: number): Promise<void> {
    for (const [at, { fold, partition }] of this.#shared.entries()) {
      const moving = this.#sweep.advance(fold, partition, offsets[at] as number)
      if (moving !== undefined) await moving
    }
    if (corrected === this.#corrected) return
    await this.#sweep.correct(corrected)
    this.#corrected = corrected
  }
}
