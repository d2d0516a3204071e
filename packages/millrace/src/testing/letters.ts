/** An app with personal data, for tests of erasure: each text is found by its bytes wherever it is. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { countView, defineApp, event, id, int, item, person, text, view } from '@millrace/core'

const Clip = item('clip', { title: text() })

const wrote = event(
  'wrote',
  { author: id('person'), to: id('person').optional(), letter: text().personal(), words: int() },
  { key: 'author' },
)
const commented = event(
  'commented',
  { clip: id('clip'), by: id('person'), comment: text().personal() },
  { key: 'clip' },
)

/** The last letter of each author: personal data in a view, and so in snapshots. */
const lastLetter = view({
  from: [wrote],
  key: 'author',
  version: 'last letter',
  initial: () => ({ letter: '' }),
  fold(state: { letter: string }, { data }) {
    state.letter = data.letter
  },
  read: state => state.letter,
})

const comments = view({
  from: [commented],
  key: 'clip',
  version: 'comments',
  initial: () => ({ texts: [] as string[] }),
  fold(state: { texts: string[] }, { data }) {
    state.texts.push(data.comment)
  },
  read: state => state.texts,
})

/** Re-keyed to the person. */
const lastComment = view({
  from: [commented],
  key: 'by',
  version: 'last comment',
  initial: () => ({ last: '' }),
  fold(state: { last: string }, { data }) {
    state.last = data.comment
  },
  read: state => state.last,
})

export const lettersApp = defineApp({
  name: 'letters',
  events: [wrote, commented],
  items: [Clip],
  people: person({ name: text().personal(), city: text().optional() }),
  views: {
    lastLetter,
    comments,
    lastComment,
    letters: countView({ from: [wrote], key: 'author' }),
    byClip: countView({ from: [commented], key: 'clip' }),
  },
  partitions: 4,
})

/** The files below a directory that hold one of the byte strings, with which. */
export function filesWith(directory: string, wanted: readonly Uint8Array[]): readonly string[] {
  const found: string[] = []
  const visit = (path: string): void => {
    if (statSync(path).isDirectory()) {
      for (const name of readdirSync(path)) visit(join(path, name))
      return
    }
    const bytes = readFileSync(path)
    wanted.forEach((part, index) => {
      if (bytes.includes(Buffer.from(part))) found.push(`${path}: ${index}`)
    })
  }
  visit(directory)
  return found
}
