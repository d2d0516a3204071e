import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineApp } from './app.ts'
import { event, item, surface } from './definition.ts'
import { isError } from './errors.ts'
import {
  attributeOf,
  featureService,
  featureView,
  kindOfColumn,
  type AnyFeatureService,
} from './feature.ts'
import {
  fittedFingerprint,
  isUnfitted,
  preparedColumns,
  preparedService,
  stepsText,
  type FittedState,
  type PreparedFeature,
} from './prepare.ts'
import { ranker } from './ranker.ts'
import { id, int, text } from './schema.ts'

const Clip = item('clip', { topic: text(), tags: text().many() })
const seen = event('seen', { who: id('person'), clip: id('clip'), ms: int() }, { key: 'who' })
const stats = featureView({
  from: [seen],
  key: 'clip',
  features: f => ({ ms: f.mean({ window: '1d', of: 'ms' }), plays: f.count({ window: '1d' }) }),
})
const raw = featureService({
  entities: ['clip'],
  features: {
    ...stats.features,
    topic: attributeOf(Clip, 'topic'),
    tags: attributeOf(Clip, 'tags'),
  },
})

/** The columns as JavaScript has them. */
type Loose = Record<string, { [step: string]: (...given: unknown[]) => PreparedFeature }>

function refusal(service: AnyFeatureService, ranked = false): string {
  const home = surface({ items: Clip, ...(ranked ? { ranker: ranker({ service, terms: { a: () => 1 } }) } : {}) }) // prettier-ignore
  try {
    defineApp({
      name: 'app',
      items: [Clip],
      events: [seen],
      features: { stats, raw, service },
      surfaces: { home },
    })
  } catch (error) {
    assert.ok(isError(error, 'DEFINITION_INVALID'))
    return `${String(error.details['path'])}: ${String(error.details['reason'])}`
  }
  return 'taken'
}

function loose(features: (columns: Loose) => unknown): AnyFeatureService {
  return preparedService({ from: raw, features: features as never })
}

test('steps that values cannot take are refused with their place', () => {
  const refused: readonly (readonly [(c: Loose) => unknown, RegExp])[] = [
    [
      c => ({ x: c['topic']?.['log1p']?.() ?? preparedOf(c, 'topic', { kind: 'log1p' }) }),
      /features\.x\.log1p: the values are texts, and it takes numbers/,
    ],
    [
      c => ({ x: preparedOf(c, 'ms', { kind: 'oneHot', max: 2 }) }),
      /x\.oneHot: the values are numbers, and it takes texts/,
    ],
    [
      c => ({ x: preparedOf(c, 'ms', { kind: 'log1p' }, { kind: 'impute', with: 'mean' }) }),
      /x\.impute: it looks at what was served: make it the first/,
    ],
    [
      c => ({ x: preparedOf(c, 'ms', { kind: 'isMissing' }, { kind: 'log1p' }) }),
      /x\.isMissing: it is the only step/,
    ],
    [
      c => ({ x: preparedOf(c, 'topic', { kind: 'oneHot', max: 2 }, { kind: 'log1p' }) }),
      /x\.log1p: nothing follows a step that gives numbers/,
    ],
    [
      c => ({ x: preparedOf(c, 'ms', { kind: 'impute', with: 'constant', value: 'a' }) }),
      /x\.impute: a is no number/,
    ],
    [
      c => ({ x: preparedOf(c, 'topic', { kind: 'impute', with: 'constant', value: 1 }) }),
      /x\.impute: 1 is no text/,
    ],
    [
      c => ({ x: preparedOf(c, 'topic', { kind: 'impute', with: 'mean' }) }),
      /x\.impute: texts have no mean; use frequent/,
    ],
    [
      c => ({ x: preparedOf(c, 'ms', { kind: 'clip', min: 2, max: 1 }) }),
      /x\.clip: 2 to 1 is no range/,
    ],
    [
      c => ({ x: preparedOf(c, 'ms', { kind: 'winsorize', low: 0.9, high: 0.1 }) }),
      /x\.winsorize: use two shares/,
    ],
    [
      c => ({ x: preparedOf(c, 'topic', { kind: 'hash', buckets: 0 }) }),
      /x\.hash: use a whole number from 1 to 16777216/,
    ],
    [
      c => ({ x: c['ms']?.['impute']?.('mean', { by: c['plays'] }) }),
      /x\.impute\.by: plays is number, and groups are texts/,
    ],
  ]
  for (const [features, reason] of refused) assert.match(refusal(loose(features)), reason)
})

/** A column with steps that its own methods would not give. */
function preparedOf(columns: Loose, name: string, ...steps: readonly object[]): unknown {
  return { ...columns[name], steps }
}

const prepared = (
  fitted?: FittedState,
): AnyFeatureService & { readonly fitted: FittedState | undefined } =>
  preparedService({
    from: raw,
    features: c => ({
      ms: c.ms.impute('median', { by: c.topic }).standard(),
      topic: c.topic.oneHot(),
      tags: c.tags,
    }),
    ...(fitted === undefined ? {} : { fitted }),
  })

function learnt(): FittedState {
  const columns = Object.fromEntries(
    [...preparedColumns(prepared())].map(([name, column]) => [
      name,
      { steps: stepsText(column), input: '', fits: [] },
    ]),
  )
  return {
    format: 1,
    trainingSet: 'set',
    rows: 1,
    fingerprint: fittedFingerprint(columns),
    columns,
  }
}

test('what was learnt holds for its columns and steps alone, as it was written', () => {
  const state = learnt()
  assert.equal(refusal(prepared(state)), 'taken')
  assert.equal(isUnfitted(prepared(state)), false)
  assert.match(refusal(prepared({ ...state, format: 0 })), /features\.service\.fitted: it is not what a training set of this version writes; make the training set again/) // prettier-ignore
  assert.match(refusal(prepared({ ...state, fingerprint: 'x' })), /it is not as it was written/)
  const again = (columns: FittedState['columns']): FittedState => ({ ...state, columns, fingerprint: fittedFingerprint(columns) }) // prettier-ignore
  const { ms, ...others } = state.columns
  assert.match(refusal(prepared(again(others))), /fitted\.ms: nothing was learnt for it/)
  assert.ok(ms !== undefined)
  assert.match(refusal(prepared(again({ ...others, ms: { ...ms, steps: '[]' } }))), /fitted\.ms: it was learnt for other steps/) // prettier-ignore
})

test('nobody ranks by steps that have learnt nothing; columns say what they give', () => {
  const service = prepared()
  assert.equal(refusal(service), 'taken')
  assert.ok(isUnfitted(service))
  assert.match(refusal(service, true), /surfaces\.home\.ranker\.service: its steps have learnt nothing: make a training set/) // prettier-ignore
  assert.deepEqual(Object.values(service.columns).map(kindOfColumn), ['number', 'numbers', 'texts'])
})
