/** A product whose view of comments comes in two versions, for the tests of rebuilds. */
import { defineApp, event, id, text, view, type AnyView, type App } from '@millrace/core'

const commented = event(
  'commented',
  { author: id('person'), post: id('post'), body: text().personal() },
  { key: 'author' },
)

/** How many comments a person wrote, and the last of them. */
const comments = view({
  from: [commented],
  key: 'author',
  version: 'comments',
  initial: () => ({ count: 0, body: '' }),
  fold(state, { data }) {
    if (data.body === 'broken') throw new Error('it cannot be read')
    state.count += 1
    state.body = data.body
  },
})

/** The same without what is not worth a word. */
const longComments = view({
  from: [commented],
  key: 'author',
  version: 'long comments',
  replaces: comments,
  initial: () => ({ count: 0, body: '' }),
  fold(state, { data }) {
    if (data.body.length < 10) return
    state.count += 1
    state.body = data.body
  },
})

const perPost = view({
  from: [commented],
  key: 'post',
  initial: () => 0,
  fold: count => count + 1,
})

const define = (views: Readonly<Record<string, AnyView>>): App =>
  defineApp({ name: 'posts', events: [commented], views: { perPost, ...views } })

/** The first version; threads load it from this file. */
export const app = define({ comments })

/** The version after it. */
export const nextApp = define({ comments: longComments })
