// #region view
import { countView, defineApp, event, id } from 'millrace'

const watched = event('watched', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })

/** How often a clip was watched. */
const plays = countView({ from: [watched], key: 'clip' })

export const app = defineApp({ name: 'clips', events: [watched], views: { plays } })
// #endregion
