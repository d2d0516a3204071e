import assert from 'node:assert/strict'
import { it } from 'node:test'
import { defineApp } from './app.ts'
import { event } from './definition.ts'
import { isError } from './errors.ts'
import { featureService, featureView } from './feature.ts'
import { id, int } from './schema.ts'
import { trainingSet, type TrainingSetDefinition } from './training-set.ts'

const shown = event('shown', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })
const watched = event('watched', { viewer: id('person'), ms: int() }, { key: 'viewer' })
const other = event('other', { viewer: id('person') }, { key: 'viewer' })
const plays = featureView({
  from: [watched],
  key: 'viewer',
  features: f => ({ plays: f.count({ window: '1d' }) }),
})
const service = featureService({ entities: ['person'], features: plays.features })
const entities = { person: 'viewer' } as const
const set = trainingSet({
  service,
  observe: shown,
  entities,
  label: { event: watched, entities, within: '1d' },
})

const define = (changed: TrainingSetDefinition): unknown =>
  defineApp({
    name: 'sets',
    events: [shown, watched],
    features: { plays, service },
    trainingSets: { changed },
  })
const label = set.label as NonNullable<typeof set.label>

it('takes a training set with its defaults', () => {
  define(set)
  define({ ...set, label: undefined })
  assert.equal(set.weight({}), 1)
  assert.equal(label.value({}), 1)
  assert.deepEqual([label.withinMs, label.policy, label.default], [86_400_000, 'any', 0])
})

const REFUSED: readonly [path: string, changed: TrainingSetDefinition][] = [
  ['service', { ...set, service: featureService({ entities: ['person'], features: plays.features }) }], // prettier-ignore
  ['observe', { ...set, observe: other }],
  ['entities', { ...set, entities: {} }],
  ['entities.person', { ...set, entities: { person: 'clip' } }],
  ['label.event', { ...set, label: { ...label, event: other } }],
  ['label.entities', { ...set, label: { ...label, entities: {} } }],
  ['label.entities.clip', { ...set, label: { ...label, entities: { clip: 'viewer' } } }],
  ['label.entities.person', { ...set, label: { ...label, entities: { person: 'ms' } } }],
  ['label.default', { ...set, label: { ...label, default: NaN } }],
]
for (const [path, changed] of REFUSED) {
  it(`refuses a wrong ${path} by its place`, () => {
    assert.throws(
      () => define(changed),
      (error: unknown) =>
        isError(error, 'DEFINITION_INVALID') &&
        error.details['path'] === `trainingSets.changed.${path}`,
    )
  })
}
