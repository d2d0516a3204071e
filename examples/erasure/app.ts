// #region app
import { countView, defineApp, event, id, text, view } from 'millrace'

const asked = event(
  'asked',
  { person: id('person'), course: id('course'), question: text().personal() },
  { key: 'person' },
)

/** The newest question to each course. */
const newest = view({
  from: [asked],
  key: 'course',
  initial: () => ({ by: '', question: '' }),
  fold: (_, { data }) => ({ by: data.person, question: data.question }),
})

const questions = countView({ from: [asked], key: 'course' })

export default defineApp({ name: 'school', events: [asked], views: { newest, questions } })
// #endregion
