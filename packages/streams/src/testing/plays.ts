/** Views that tests rebuild: a count, another version of it, and one that emits. */
import { countView, event, id, int, view } from '@millrace/core'

const watched = event('watched', { viewer: id('person'), ms: int() }, { key: 'viewer' })
const noted = event('noted', { person: id('person') }, { key: 'person' })

export const plays = countView({ from: [watched], key: 'viewer' })

/** Another version, which is told from the first one by what it says. */
export const doubled = view({ from: [watched], key: 'viewer', initial: () => 0, fold: state => state + 2, replaces: plays }) // prettier-ignore

/** Emits a record each time; of this one the version stays. */
export const notes = view({
  from: [watched],
  key: 'viewer',
  emits: [noted],
  initial: () => 0,
  fold(state, _event, context) {
    context.emit(noted, { person: context.key })
    return state + 1
  },
})
