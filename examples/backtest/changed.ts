// #region changed
import { defineFilter, surface } from 'millrace'
import { Clip, clipsWith } from './app.ts'

const noNews = defineFilter({
  name: 'no news',
  keep: ({ attributes }) => {
    const topics = (attributes?.['topics'] ?? []) as readonly string[]
    return !topics.includes('news')
  },
})

export const app = clipsWith(
  surface({
    items: Clip,
    explore: 0,
    size: { default: 3, max: 10 },
    filters: ['seen', 'disliked', noNews],
  }),
)
// #endregion
