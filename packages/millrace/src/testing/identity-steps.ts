/** The steps of a merge or a split, by name: the commit that each is, and the side of it on which a process is killed. */
import type { NewEvent } from '@millrace/log'
import { CORRECTIONS_STREAM, IDENTIFIED_TYPE, type CorrectionData } from '@millrace/streams'
import type { UndoStep } from './undo-steps.ts'

const isDecision = ({ type }: NewEvent): boolean => type === IDENTIFIED_TYPE
/** A record that stands in for another. */
const isCarried = ({ headers }: NewEvent): boolean => headers?.['origin'] !== undefined
const followsOf = ({ stream, type, data }: NewEvent): CorrectionData | undefined =>
  stream === CORRECTIONS_STREAM && type === 'corrected' ? (data as CorrectionData) : undefined
const isMark = (event: NewEvent): boolean => followsOf(event)?.follows !== undefined
const isPart = (event: NewEvent): boolean => followsOf(event) !== undefined && !isMark(event)

const decided: Readonly<Record<string, UndoStep>> = {
  unwritten: { when: 'before', is: isDecision },
  written: { when: 'after', is: isDecision },
}
const followed: Readonly<Record<string, UndoStep>> = {
  folded: { when: 'before', is: isPart },
  followedInPart: { when: 'after', is: isPart },
  unmarked: { when: 'before', is: isMark },
  marked: { when: 'after', is: isMark },
}

/** See the head of the file. A split carries nothing: the originals count again. */
export const IDENTITY_STEPS: Readonly<
  Record<'merge' | 'split', Readonly<Record<string, UndoStep>>>
> = {
  merge: {
    ...decided,
    uncarried: { when: 'before', is: isCarried },
    carried: { when: 'after', is: isCarried },
    ...followed,
  },
  split: { ...decided, ...followed },
}
