/** The steps of an erasure by processes that share a log, by name: the commit that each is, and the side of it on which a process is killed. */
import type { NewEvent } from '@millrace/log'
import { CORRECTIONS_STREAM } from '@millrace/streams'
import type { UndoStep } from './undo-steps.ts'

const isHeard = (step: string) => (event: NewEvent) =>
  event.type === 'erasure.heard' && (event.data as { readonly step: string }).step === step
const isOf = (type: string) => (event: NewEvent) => event.type === `erasure.${type}`
const isRetraction = ({ stream, type }: NewEvent): boolean =>
  stream === CORRECTIONS_STREAM && type === 'corrected'

/** See the head of the file. */
export const ERASURE_STEPS: Readonly<Record<string, UndoStep>> = {
  begun: { when: 'after', is: isOf('begun') },
  unshut: { when: 'before', is: isHeard('shut') },
  shut: { when: 'after', is: isHeard('shut') },
  unwritten: { when: 'before', is: isRetraction },
  written: { when: 'after', is: isRetraction },
  unretracted: { when: 'before', is: isOf('retracted') },
  retracted: { when: 'after', is: isOf('retracted') },
  unclean: { when: 'before', is: isHeard('clean') },
  clean: { when: 'after', is: isHeard('clean') },
  unended: { when: 'before', is: isOf('ended') },
  ended: { when: 'after', is: isOf('ended') },
}
