import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineApp } from './app.ts'
import { event, item, surface, type SurfaceDefinition } from './definition.ts'
import { isError } from './errors.ts'
import { featureService, featureView } from './feature.ts'
import { ranker, type RankerDefinition } from './ranker.ts'
import { id, text } from './schema.ts'

const Clip = item('clip', { title: text() })
const Course = item('course', { title: text() })
const watched = event('watched', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })
const plays = (key: 'viewer' | 'clip') =>
  featureView({ from: [watched], key, features: f => ({ plays: f.count({ window: '7d' }) }) })
const ofClip = plays('clip')
const ofPerson = plays('viewer')
const service = featureService({
  entities: ['person', 'clip'],
  features: { own: ofPerson.features.plays, plays: ofClip.features.plays },
})
const byPlays = ranker({ service, terms: { plays: row => row.plays - row.own } })

const define = (home: SurfaceDefinition, named: object = { service }): unknown =>
  defineApp({
    name: 'ranked',
    items: [Clip, Course],
    events: [watched],
    features: { ofClip, ofPerson, ...named },
    surfaces: { home },
  })

void test('a surface ranks by a service of the app about its items and people', () => {
  assert.doesNotThrow(() => define(surface({ items: Clip, ranker: byPlays })))
  assert.equal(byPlays.candidates, 100)
  assert.equal(byPlays.terms['plays']?.({ own: 1, plays: 3 }), 2)
})

const rankerWith = (changes: object): RankerDefinition => ({ ...byPlays, ...changes })
const refusals: readonly (readonly [SurfaceDefinition, path: string, reason: RegExp, named?: object])[] = [
  [surface({ items: Clip, ranker: { service } as never }), 'ranker', /not made by ranker/],
  [surface({ items: Clip, ranker: byPlays }), 'ranker.service', /not among the features/, {}],
  [surface({ items: [Clip, Course], ranker: byPlays }), 'ranker', /several kinds/],
  [surface({ items: Course, ranker: byPlays }), 'ranker.service', /about clip; a request names/],
  [surface({ items: Clip, ranker: rankerWith({ candidates: 5 }) }), 'ranker.candidates', /from the size of a slate/],
  [surface({ items: Clip, ranker: rankerWith({ candidates: 1_001 }) }), 'ranker.candidates', /to 1000/],
  [surface({ items: Clip, ranker: rankerWith({ terms: {} }) }), 'ranker.terms', /there are 0/],
  [surface({ items: Clip, ranker: rankerWith({ terms: { 'a b': () => 1 } }) }), 'ranker.terms.a b', /is named/],
  [surface({ items: Clip, ranker: rankerWith({ terms: { one: 1 } }) }), 'ranker.terms.one', /no function/],
] // prettier-ignore

for (const [home, path, reason, named] of refusals) {
  void test(`a ranker that cannot score is refused: ${String(reason)}`, () => {
    assert.throws(
      () => define(home, named),
      error => isError(error, 'DEFINITION_INVALID') && error.message.includes(`surfaces.home.${path}`) && reason.test(error.message), // prettier-ignore
    )
  })
}
