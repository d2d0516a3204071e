/** What a surface answers. */
import type { Position } from '@millrace/core'
import type { Attributes } from '../catalogue/index.ts'

/** One term of an item's score: `weight * score` is what it adds. */
export interface ScoreTerm {
  /** Name of the source or scorer, or of a term of the surface's ranker. */
  readonly stage: string
  readonly weight: number
  /** In [0, 1] for sources: the source's score over its greatest in this answer. */
  readonly score: number
}

/** One recommended item. */
export interface AnswerItem {
  readonly kind: string
  readonly id: string
  /** Place in the slate, from 1. */
  readonly slot: number
  readonly score: number
  /** The source that added most. */
  readonly source: string
  /** The chance that this item stood here, given the slots before it. */
  readonly propensity: number
  /** True when the slot was given to exploration. */
  readonly isExplored: boolean
  /** All attributes but personal ones; absent for an item that was never put. */
  readonly attributes?: Attributes
  /** In words, with `explain`. */
  readonly reasons?: readonly string[]
  /** With `explain`; their sum is the score. */
  readonly terms?: readonly ScoreTerm[]
}

/** How an answer came about, stage by stage. */
export interface Explanation {
  /** Items of the person's history that were used, newest first. */
  readonly history: readonly {
    readonly kind: string
    readonly id: string
    readonly title: string
  }[]
  readonly sources: readonly {
    readonly name: string
    readonly weight: number
    /** Candidates proposed, before filters. */
    readonly proposed: number
    /** Items of the slate for which it added most. */
    readonly shown: number
  }[]
  /** Candidates removed, by filter; `listed` are those not in the catalogue or of other kinds, `excluded` those that the request excludes. */
  readonly filters: readonly { readonly name: string; readonly removed: number }[]
  /** Candidates left after the filters; of a surface that ranks by features, those that were scored. */
  readonly candidates: number
  /** The feature service that the surface ranks by; absent where it ranks by its sources. */
  readonly service?: string
  readonly scorers: readonly string[]
  /** Moves of the slate's items by re-ranker: place before and after, from 1. */
  readonly rerankers: readonly {
    readonly name: string
    readonly moved: readonly { readonly id: string; readonly from: number; readonly to: number }[]
  }[]
  readonly limits: readonly {
    readonly field: string
    readonly max: number
    /** Candidates passed over because of it, counted at each slot. */
    readonly passed: number
  }[]
  readonly exploration: {
    readonly share: number
    /** Slots given to exploration: place, and how many candidates it could have been. */
    readonly slots: readonly { readonly slot: number; readonly alternatives: number }[]
  }
}

/** An answer of a surface. */
export interface Answer {
  /** Id of the answer, and of its exposure record. */
  readonly answerId: string
  readonly surface: string
  /** Absent for a request without a person. */
  readonly person?: string
  readonly items: readonly AnswerItem[]
  /** True when nothing is known about the person: the slate is popular, trending and new. */
  readonly isColdStart: boolean
  /** True when events of the person wait because their fold failed: the answer lacks them. */
  readonly isIncomplete?: boolean
  /** Fingerprint of the definition that answered. */
  readonly definition: string
  /** Token of the position that the answer reflects. */
  readonly position: string
  readonly positionVector: Position
  /** Signed: what a client needs to log the exposure itself. */
  readonly token: string
  readonly explanation?: Explanation
}
