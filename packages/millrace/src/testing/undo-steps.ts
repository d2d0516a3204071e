/** The steps of a run of a changeset of corrections, by name: the commit that each is, and the side of it on which a process is killed. */
import { CORRECTIONS_STREAM, type CorrectionData } from '@millrace/streams'
import type { NewEvent } from '@millrace/log'

/** A step. */
export interface UndoStep {
  readonly when: 'before' | 'after'
  readonly is: (event: NewEvent) => boolean
}

/** The fold whose emissions follow. */
const FOLLOWER = 'profile'

const corrections = (event: NewEvent): CorrectionData | undefined =>
  event.stream === CORRECTIONS_STREAM && event.type === 'corrected'
    ? (event.data as CorrectionData)
    : undefined
const isAsked = (event: NewEvent): boolean => corrections(event)?.changeset !== undefined
const isFollowing = (event: NewEvent): boolean => corrections(event)?.by === FOLLOWER
const isMark = (event: NewEvent): boolean => corrections(event)?.follows !== undefined
const isPart = (event: NewEvent): boolean => isFollowing(event) && !isMark(event)
const isOf = (type: string) => (event: NewEvent) => event.type === `changeset.${type}`

/** See the head of the file. */
export const UNDO_STEPS: Readonly<Record<string, UndoStep>> = {
  begun: { when: 'after', is: isOf('begun') },
  unwritten: { when: 'before', is: isAsked },
  written: { when: 'after', is: isAsked },
  folded: { when: 'before', is: isPart },
  followedInPart: { when: 'after', is: isPart },
  unmarked: { when: 'before', is: isMark },
  marked: { when: 'after', is: isMark },
  unnoted: { when: 'before', is: isOf('progress') },
  noted: { when: 'after', is: isOf('progress') },
  unended: { when: 'before', is: isOf('ended') },
  ended: { when: 'after', is: isOf('ended') },
}
