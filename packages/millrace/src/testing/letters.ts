/** An app with personal data, for tests of erasure: each text is found by its bytes wherever it is. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import {
  countView,
  defineApp,
  event,
  id,
  int,
  item,
  person,
  silentLogger,
  text,
  view,
} from '@millrace/core'
import { openNodeDisk } from '@millrace/log/disk'
import { readKeyEntries } from '@millrace/log/sealing'
import type { People } from '@millrace/product'
import { openMillrace, type Millrace } from '../millrace.ts'

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

/** An opened product of letters. */
export type Letters = Millrace<typeof lettersApp>

/** What ana's personal fields say. */
export const SECRETS = ['ana-writes-of-her-illness', 'Ana Lovelace', 'ana-was-here'] as const

/** Opens a directory. */
export const openLetters = (data: string): Promise<Letters> =>
  openMillrace({ app: lettersApp, data, logger: silentLogger })

/** The key of a name in a data directory. */
export async function keyIn(directory: string, name: string): Promise<Uint8Array | undefined> {
  const entries = await readKeyEntries(openNodeDisk(directory))
  return entries.find(entry => entry.name === name)?.key
}

/** Ana writes, comments and is described; Ben does the same. */
export async function fillLetters(millrace: Letters): Promise<void> {
  const { position } = await millrace.trackMany([
    { type: 'wrote', id: 'e1', data: { author: 'ana', letter: SECRETS[0], words: 5 } },
    { type: 'wrote', id: 'e2', data: { author: 'ben', letter: 'ben-writes', words: 2 } },
    { type: 'wrote', id: 'e3', data: { author: 'ben', to: 'ana', letter: 'dear-ana', words: 2 } },
    { type: 'commented', id: 'e4', data: { clip: 'c1', by: 'ana', comment: SECRETS[2] } },
    { type: 'commented', id: 'e5', data: { clip: 'c1', by: 'ben', comment: 'ben-was-here' } },
  ])
  const people = millrace.module<People>('people')
  await people.put({ id: 'ana', attributes: { name: SECRETS[1], city: 'London' } })
  const written = await people.put({ id: 'ben', attributes: { name: 'Ben Nevis' } })
  await millrace.reached(position, { timeoutMs: 60_000 })
  await millrace.reached(written.position, { timeoutMs: 60_000 })
}

/** What the views and the table of people say of ana, ben and their clip. */
export function saidIn(millrace: Letters): unknown {
  return {
    lastLetter: ['ana', 'ben'].map(key => millrace.view('lastLetter').get(key)?.value),
    letters: ['ana', 'ben'].map(key => millrace.view('letters').get(key)?.value),
    comments: millrace.view('comments').get('c1')?.value,
    lastComment: ['ana', 'ben'].map(key => millrace.view('lastComment').get(key)?.value),
    byClip: millrace.view('byClip').get('c1')?.value,
    people: ['ana', 'ben'].map(id => millrace.module<People>('people').get(id)?.attributes),
  }
}
