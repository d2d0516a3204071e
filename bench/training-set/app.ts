/** Twenty windowed features of people who watch clips. */
import { defineApp, event, featureService, featureView, id, int, trainingSet } from '@millrace/core'

export const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int(), isFinished: int(), isLiked: int() },
  { key: 'viewer' },
)

export const WINDOWS = ['1h', '6h', '1d', '7d', '30d'] as const

const viewer = featureView({
  from: [watched],
  key: 'viewer',
  version: '1',
  features: f =>
    Object.fromEntries(
      WINDOWS.flatMap(window => [
        [`plays_${window}`, f.count({ window })],
        [`ms_${window}`, f.sum({ window, of: 'watchedMs' })],
        [`finish_${window}`, f.ratio({ window, of: 'isFinished' })],
        [`likes_${window}`, f.sum({ window, of: 'isLiked' })],
      ]),
    ),
})

const ranking = featureService({ entities: ['person'], features: viewer.features })

export const app = defineApp({
  name: 'bench-training',
  events: [watched],
  features: { viewer, ranking },
  trainingSets: {
    clicks: trainingSet({ service: ranking, observe: watched, entities: { person: 'viewer' } }),
  },
})
