/** Public data sets as streams of positive interactions, cut into what is known and what is hidden. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** One positive interaction. */
export interface Interaction {
  readonly person: string
  readonly item: string
  readonly atMs: number
}

/** A data set, cut. */
export interface Cut {
  readonly name: string
  /** In order of time. */
  readonly known: readonly Interaction[]
  /** Hidden items by person. */
  readonly hidden: ReadonlyMap<string, ReadonlySet<string>>
}

const POSITIVE_MIN = 4

/** Text of a gzip file, or undefined when the data set is absent. */
function read(directory: string, file: string): string | undefined {
  const path = join(directory, file)
  return existsSync(path) ? gunzipSync(readFileSync(path)).toString('utf8') : undefined
}

function positives(text: string): Interaction[] {
  const found: Interaction[] = []
  for (const line of text.split('\n').slice(1)) {
    const [person, item, rating, seconds] = line.split(',')
    if (person === undefined || item === undefined || seconds === undefined) continue
    if (Number(rating) < POSITIVE_MIN) continue
    found.push({ person, item, atMs: Number(seconds) * 1_000 })
  }
  return inOrder(found)
}

/** By time; ties in a fixed order that has nothing to do with the file. */
function inOrder(interactions: Interaction[]): Interaction[] {
  let state = 42
  const keyed = interactions.map(interaction => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return { interaction, tie: state }
  })
  keyed.sort((a, b) => a.interaction.atMs - b.interaction.atMs || a.tie - b.tie)
  return keyed.map(({ interaction }) => interaction)
}

/**
 * Hides the last ten positives of each person who has at least twenty; with `isValidation` the ten
 * before them, and what comes after is not there at all.
 */
function hideLastTen(name: string, all: readonly Interaction[], isValidation: boolean): Cut {
  const totals = new Map<string, number>()
  for (const { person } of all) totals.set(person, (totals.get(person) ?? 0) + 1)
  const places = new Map<string, number>()
  const known: Interaction[] = []
  const hidden = new Map<string, Set<string>>()
  for (const interaction of all) {
    const { person, item } = interaction
    const place = places.get(person) ?? 0
    places.set(person, place + 1)
    let end = totals.get(person) as number
    if (isValidation && end >= 20) {
      end -= 10
      if (place >= end) continue
    }
    if (end >= 20 && place >= end - 10) {
      const items = hidden.get(person) ?? new Set()
      hidden.set(person, items.add(item))
    } else known.push(interaction)
  }
  return { name, known, hidden }
}

function lightGcn(directory: string, name: string, isValidation: boolean): Cut | undefined {
  const train = read(directory, 'train.txt.gz')
  const test = read(directory, 'test.txt.gz')
  if (train === undefined || test === undefined) return undefined
  const known: Interaction[] = []
  const hidden = new Map<string, Set<string>>()
  for (const line of train.split('\n')) {
    const [person = '', ...items] = line.trim().split(' ')
    // The files have no times: a person's items follow one another as they are listed.
    items.forEach((item, place) => {
      if (isValidation && place % 10 === 9) {
        hidden.set(person, (hidden.get(person) ?? new Set()).add(item))
      } else known.push({ person, item, atMs: 1.2e12 + place * 3_600_000 })
    })
  }
  if (!isValidation) {
    for (const line of test.split('\n')) {
      const [person = '', ...items] = line.trim().split(' ')
      if (items.length > 0) hidden.set(person, new Set(items))
    }
  }
  return { name, known: inOrder(known), hidden }
}

function byTime(directory: string): Cut | undefined {
  const train = read(directory, 'train_positives.csv.gz')
  const later = read(directory, 'val_ratings.csv.gz')
  if (train === undefined || later === undefined) return undefined
  const known = positives(train)
  const before = new Set(known.map(({ person, item }) => `${person} ${item}`))
  const hidden = new Map<string, Set<string>>()
  for (const { person, item } of positives(later)) {
    if (before.has(`${person} ${item}`)) continue
    hidden.set(person, (hidden.get(person) ?? new Set()).add(item))
  }
  return { name: 'movielens-1m by time', known, hidden }
}

/** The cuts of the data sets that are there. */
export function* cuts(data: string, isValidation: boolean): Iterable<Cut> {
  for (const [folder, file] of [
    ['movielens-1m', 'ratings_reconstructed.csv.gz'],
    ['movielens-small', 'ratings.csv.gz'],
  ] as const) {
    const text = read(join(data, folder), file)
    if (text !== undefined) yield hideLastTen(`${folder} last 10`, positives(text), isValidation)
  }
  if (!isValidation) {
    const timed = byTime(join(data, 'movielens-1m'))
    if (timed !== undefined) yield timed
  }
  const gowalla = lightGcn(join(data, 'gowalla'), 'gowalla', isValidation)
  if (gowalla !== undefined) yield gowalla
}
