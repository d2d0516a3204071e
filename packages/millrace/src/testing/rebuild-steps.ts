/** The steps of a rebuild, its switch and the way back, by name: the commit that each is, and the side of it on which a process is killed. */
import { REBUILDS_STREAM } from '@millrace/streams'
import type { NewEvent } from '@millrace/log'
import type { UndoStep } from './undo-steps.ts'

const isOf = (kind: string) => (event: NewEvent) =>
  event.stream === REBUILDS_STREAM && event.type === `rebuild.${kind}`
/** The way back goes to an earlier build. */
const isSwitch = (isBack: boolean) => (event: NewEvent) => {
  if (!isOf('switched')(event)) return false
  const { build, before } = event.data as { build: number; before: { build: number } }
  return build < before.build === isBack
}

/** See the head of the file. */
export const REBUILD_STEPS: Readonly<Record<string, UndoStep>> = {
  started: { when: 'after', is: isOf('started') },
  uncompared: { when: 'before', is: isOf('compared') },
  compared: { when: 'after', is: isOf('compared') },
  unswitched: { when: 'before', is: isSwitch(false) },
  switched: { when: 'after', is: isSwitch(false) },
  unreturned: { when: 'before', is: isSwitch(true) },
  returned: { when: 'after', is: isSwitch(true) },
  undropped: { when: 'before', is: isOf('dropped') },
  dropped: { when: 'after', is: isOf('dropped') },
}
