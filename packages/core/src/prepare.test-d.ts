/** Types of prepared columns: checked by the compiler, never run. */
import { event, item } from './definition.ts'
import { attributeOf, featureService, featureView, type FeatureRow } from './feature.ts'
import { preparedService } from './prepare.ts'
import { id, int, text } from './schema.ts'

const Clip = item('clip', { topic: text(), tags: text().many() })
const seen = event('seen', { who: id('person'), clip: id('clip'), ms: int() }, { key: 'who' })
const stats = featureView({
  from: [seen],
  key: 'clip',
  features: f => ({ ms: f.mean({ window: '1d', of: 'ms' }) }),
})
const raw = featureService({
  entities: ['clip'],
  features: {
    ...stats.features,
    topic: attributeOf(Clip, 'topic'),
    tags: attributeOf(Clip, 'tags'),
  },
})

export const ready = preparedService({
  from: raw,
  features: c => ({
    ms: c.ms.impute('median', { by: c.topic }).log1p().standard(),
    isNew: c.ms.isMissing(),
    topic: c.topic.oneHot(),
    place: c.topic.ordinal(),
    tags: c.tags,
  }),
})

export const row: FeatureRow<typeof ready> = {
  ms: 1,
  isNew: 0,
  topic: [0, 1],
  place: 2,
  tags: ['a'],
}

// @ts-expect-error a list of numbers is no text
export const wrong: FeatureRow<typeof ready>['topic'] = 'pasta'

preparedService({
  from: raw,
  features: c => ({
    // @ts-expect-error texts have no logarithm
    topic: c.topic.log1p(),
  }),
})
preparedService({
  from: raw,
  features: c => ({
    // @ts-expect-error numbers are no categories
    ms: c.ms.oneHot(),
  }),
})
preparedService({
  from: raw,
  features: c => ({
    // @ts-expect-error groups are texts
    ms: c.ms.impute('mean', { by: c.ms }),
  }),
})
