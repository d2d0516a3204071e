/** What an exposure notes of the folds that features were read from, so that they can be read again. */
import { partitionOf } from '@millrace/core'
import type { FoldHandle } from '@millrace/streams'
import { offsetsOf } from '../catalogue/index.ts'
import type { CompiledSurface } from './compiled-surface.ts'
import { foldsOf, type RankedFeatures } from './ranked-features.ts'

interface NotedFold {
  readonly handle: FoldHandle
  readonly isOfPerson: boolean
  /** JSON of its name and a colon. */
  readonly name: string
  text: string
  revision: number
}

/** See the head of the file. */
export class FeatureStates {
  readonly #folds = new Map<string, NotedFold>()
  readonly #ranked: RankedFeatures | undefined

  constructor(ranked: RankedFeatures | undefined, foldOf: (name: string) => FoldHandle) {
    this.#ranked = ranked
    for (const { name, isOfPerson } of foldsOf(ranked)) {
      const label = `${JSON.stringify(name)}:`
      this.#folds.set(name, { handle: foldOf(name), isOfPerson, name: label, text: '', revision: -1 }) // prettier-ignore
    }
  }

  /** `f` of an exposure, as JSON behind the state; empty for a surface that ranks by no features. */
  textOf({ ranker }: CompiledSurface, person: string | undefined): string {
    if (ranker === undefined) return ''
    if (!this.isSettled()) return ',"f":null'
    const noted: string[] = []
    for (const { name } of this.#ranked?.folds.get(ranker.plan.name) ?? []) {
      const fold = this.#folds.get(name) as NotedFold
      const offsets = fold.isOfPerson ? ofPerson(fold.handle, person) : this.#allOf(fold)
      noted.push(fold.name + offsets)
    }
    return `,"f":{${noted.join(',')}}`
  }

  /** False where what was read is not what the log gives as of any offsets: keys wait to be folded again. */
  isSettled(): boolean {
    let corrected: number | undefined
    for (const { handle } of this.#folds.values()) {
      corrected ??= handle.corrected()
      if (!handle.isSettled() || handle.corrected() !== corrected) return false
    }
    return true
  }

  /** The fewest records of corrections that any of the folds reflects. */
  corrected(): number {
    let least = Infinity
    for (const { handle } of this.#folds.values()) least = Math.min(least, handle.corrected())
    return least
  }

  #allOf(fold: NotedFold): string {
    const revision = fold.handle.revision()
    if (fold.revision !== revision) {
      fold.revision = revision
      fold.text = offsetsOf(fold.handle)
    }
    return fold.text
  }
}

function ofPerson(handle: FoldHandle, person: string | undefined): string {
  if (person === undefined) return '[]'
  return `[${handle.consumed(partitionOf(person, handle.shards().length))}]`
}
