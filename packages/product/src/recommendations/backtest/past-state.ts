/** The state that past answers were made from, one after the other. */
import { partitionOf, type App } from '@millrace/core'
import { PERSON, tableFoldName, type FoldDefinition, type Sweep } from '@millrace/streams'
import type { ExposedState, Exposure } from '../events.ts'
import { ITEM_STATS_FOLD } from '../item-stats-fold.ts'
import { PROFILE_FOLD } from '../profile-fold.ts'
import { foldsOf, rankedFeatures, type RankedFold } from '../ranked-features.ts'
import type { AnswersAgain } from './again.ts'

const kindsOf = (app: App): readonly string[] => (app.options.items ?? []).map(({ name }) => name)

/** The folds that answers are made from, of all that run, with those that re-key events for them. */
export function foldsBehind(app: App, folds: readonly FoldDefinition[]): readonly FoldDefinition[] {
  const ranked = foldsOf(rankedFeatures(app)).map(({ name }) => name)
  const names = [PROFILE_FOLD, ITEM_STATS_FOLD, ...kindsOf(app).map(tableFoldName), ...ranked]
  const behind = names.map(name => folds.find(fold => fold.name === name) as FoldDefinition)
  const sources = new Set(behind.map(({ source }) => source))
  const emitters = folds.filter(({ targets = [] }) => targets.some(target => sources.has(target)))
  return [...behind, ...emitters.filter(fold => !behind.includes(fold))]
}

interface Move {
  readonly fold: string
  readonly partition: number
  readonly to: number
}

/** The folds that the features of each surface are read from. */
function featuresOf(app: App): ReadonlyMap<string, readonly RankedFold[]> {
  const ranked = rankedFeatures(app)
  const byService = new Map(
    [...(ranked?.compiled.services ?? [])].map(([name, { service }]) => [service, name]),
  )
  const surfaces = Object.entries(app.options.surfaces ?? {})
  return new Map(
    surfaces.map(([name, { ranker }]) => {
      const service = ranker === undefined ? undefined : byService.get(ranker.service)
      return [name, ranked?.folds.get(service ?? '') ?? []]
    }),
  )
}

/** Why an answer cannot be given again: another state is there already, or nothing tells the one that it was made from. */
export type StateFault = 'outOfOrder' | 'withoutState'

/** See the head of the file. It goes forward only. */
export class PastState {
  readonly #sweep: Sweep
  readonly #again: AnswersAgain
  /** The folds that answers share, with their partitions, in the order in which exposures tell their offsets. */
  readonly #shared: readonly { readonly fold: string; readonly partition: number }[]
  /** The folds that features are read from, by the name of the surface. */
  readonly #features: ReadonlyMap<string, readonly RankedFold[]>
  /** State from which the lists were made. */
  #lists = ''
  #corrected = 0

  constructor(app: App, sweep: Sweep, again: AnswersAgain) {
    this.#sweep = sweep
    this.#again = again
    this.#features = featuresOf(app)
    this.#shared = [ITEM_STATS_FOLD, ...kindsOf(app).map(tableFoldName)].flatMap(fold =>
      Array.from(sweep.fold(fold).shards(), (_, partition) => ({ fold, partition })),
    )
  }

  /** Folds up to what an answer saw, and makes the lists that it saw; otherwise says why that cannot be. */
  async moveTo(exposure: Exposure, state: ExposedState): Promise<StateFault | undefined> {
    const { p, k = [0, 0] } = exposure
    const [person, signals, listSignals, items, listItems = items] = state
    const [corrected, listCorrected] = k
    const lists = JSON.stringify([listSignals, listItems, listCorrected])
    const areOther = lists !== this.#lists
    const first = areOther ? [...listSignals, ...listItems] : [...signals, ...items]
    const sweep = this.#sweep
    const home = p === undefined ? -1 : partitionOf(p, sweep.fold(PROFILE_FOLD).shards().length)
    if ((areOther ? listCorrected : corrected) < this.#corrected || this.#isPast(first))
      return 'outOfOrder'
    if (home >= 0 && sweep.fold(PROFILE_FOLD).consumed(home) > person) return 'outOfOrder'
    const moves = this.#movesOf(exposure, person)
    if (typeof moves === 'string') return moves
    if (areOther) {
      await this.#fold([...listSignals, ...listItems], listCorrected)
      this.#again.makeLists()
      this.#lists = lists
    }
    await this.#fold([...signals, ...items], corrected)
    if (home >= 0) await sweep.advance(PROFILE_FOLD, home, person)
    for (const { fold, partition, to } of moves) {
      const moving = sweep.advance(fold, partition, to)
      if (moving !== undefined) await moving
    }
    return undefined
  }

  /**
   * How far the folds go that the features of the surface are read from. One that did not answer then,
   * of a definition that has changed, goes as far as another one of its stream did.
   */
  #movesOf({ s, p, f: noted = {} }: Exposure, person: number): readonly Move[] | StateFault {
    const moves: Move[] = []
    if (noted === null) return 'withoutState'
    for (const { name, isOfPerson } of this.#features.get(s) ?? []) {
      if (isOfPerson && p === undefined) continue
      const fold = this.#sweep.fold(name)
      const { source } = fold.definition
      const own = noted[name]
      const offsets = own ?? (isOfPerson && source === PERSON ? [person] : this.#alike(noted, source, isOfPerson)) // prettier-ignore
      if (offsets === undefined) return 'withoutState'
      const first = isOfPerson ? partitionOf(p as string, fold.shards().length) : 0
      for (const [at, to] of offsets.entries()) {
        if (fold.consumed(first + at) > to) return 'outOfOrder'
        moves.push({ fold: name, partition: first + at, to })
      }
    }
    return moves
  }

  /** The offsets that are noted of another fold of the same stream. */
  #alike(
    noted: NonNullable<Exposure['f']>,
    source: string,
    isOfPerson: boolean,
  ): readonly number[] | undefined {
    // prettier-ignore
    for (const fold of [...this.#features.values()].flat()) {
      const isLike = fold.isOfPerson === isOfPerson && noted[fold.name] !== undefined
      if (isLike && this.#sweep.fold(fold.name).definition.source === source) return noted[fold.name] // prettier-ignore
    }
    return undefined
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
