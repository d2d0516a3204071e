/** Why a correction changes nothing, for people: where it is decided, and in the plans of changesets. */
import type { CorrectionAction } from './contract.ts'

/** Of an event of somebody who was erased. */
export const ERASED_REASON = 'it names somebody who was erased, which nothing takes back'

/** Of an event that is so already. */
export const SO_ALREADY: Readonly<Record<CorrectionAction, string>> = {
  retract: 'it is retracted already',
  hold: 'it is held already',
  correct: 'it is corrected to this already',
  restore: 'nothing is in force for it: it counts as it was sent',
}
