/**
 * The files of GroupLens's data sets, in all layouts that were published: `ml-latest`, `ml-25m`,
 * `ml-32m` and `ml-20m` (CSV with a header), `ml-10m` and `ml-1m` (`.dat`, separated by `::`),
 * `ml-100k` (`u.data` by tabs, `u.item` and `u.user` by pipes). Older ones are Windows-1252.
 */
import type { App } from '@millrace/core'
import { readDelimited } from '../delimited.ts'
import { inspectTable } from '../dialect.ts'
import { importErrors } from '../errors.ts'
import type { ImportLimits } from '../limits.ts'
import type { ImportFile } from '../import-file.ts'
import type { MappingOptions } from '../mapping.ts'
import {
  inspectFile,
  tableInput,
  withMixedEncoding,
  type CellTransform,
  type MappedInput,
} from '../tables.ts'
import { GENRES_100K, OCCUPATIONS } from './codes.ts'

type Role = 'ratings' | 'movies' | 'users' | 'tags' | 'links'

const EXACT: Readonly<Record<Role, RegExp>> = {
  ratings: /^(ratings\.(csv|dat)|u\.data)$/i,
  movies: /^(movies\.(csv|dat)|u\.item)$/i,
  users: /^(users\.(csv|dat)|u\.user)$/i,
  tags: /^tags\.(csv|dat)$/i,
  links: /^links\.csv$/i,
}
const SIMILAR: Readonly<Record<Role, RegExp>> = {
  ratings: /^ratings[._-].*(csv|dat|tsv)$/i,
  movies: /^movies[._-].*(csv|dat|tsv)$/i,
  users: /^users[._-].*(csv|dat|tsv)$/i,
  tags: /^tags[._-].*(csv|dat|tsv)$/i,
  links: /^links[._-].*csv$/i,
}
const LAYOUT_HELP =
  'Name the folder or the zip archive as GroupLens publishes it: ratings.csv, ratings.dat or ' +
  'u.data must be in it. For any other file: millrace import csv <file> --map person=...,item=...,at=...'

/** Finds the files of a MovieLens data set among `files` and maps them to `app`; ignored files are named. */
export async function movielensInputs(
  app: App,
  files: readonly ImportFile[],
  request: { path: string; limits: ImportLimits },
): Promise<{ readonly inputs: readonly MappedInput[]; readonly ignored: readonly string[] }> {
  const roles = findRoles(files, request.path)
  const linksFile = roles.get('links')
  const links =
    linksFile === undefined ? new Map<string, Link>() : await readLinks(linksFile, request.limits)
  const inputs: MappedInput[] = []
  for (const role of ['movies', 'users', 'ratings', 'tags'] as const) {
    const file = roles.get(role)
    if (file !== undefined) inputs.push(await toInput(app, role, file, { ...request, links }))
  }
  const used = new Set(roles.values())
  return { inputs, ignored: files.filter(file => !used.has(file)).map(file => file.label) }
}

function findRoles(files: readonly ImportFile[], path: string): Map<Role, ImportFile> {
  const found = new Map<Role, ImportFile>()
  for (const role of Object.keys(EXACT) as Role[]) {
    const exact = files.filter(file => EXACT[role].test(file.name))
    const candidates =
      exact.length > 0 ? exact : files.filter(file => SIMILAR[role].test(file.name))
    if (candidates.length > 1) {
      const reason = `several files may be the ${role}: ${candidates.map(file => file.label).join(', ')}`
      const next = 'Leave one of them in the folder, or import it by: millrace import csv <file>.'
      throw importErrors.create('IMPORT_NOT_RECOGNISED', { path, reason, next })
    }
    if (candidates[0] !== undefined) found.set(role, candidates[0])
  }
  if (!found.has('ratings')) {
    const reason = files.length === 0 ? 'it is empty' : 'there is no file of ratings'
    throw importErrors.create('IMPORT_NOT_RECOGNISED', { path, reason, next: LAYOUT_HELP })
  }
  return found
}

/** What a file of one role must hold, and what it becomes. */
interface RolePlan {
  /** Names of the first columns. */
  readonly columns: readonly string[]
  readonly mapping: MappingOptions
  readonly transform?: CellTransform
}

const signalPlan = (name: string, value: string): RolePlan => ({
  columns: ['userId', 'movieId', value, 'timestamp'],
  mapping: {
    target: { kind: 'event', name },
    map: { person: 'userId', movie: 'movieId', [value]: value, at: 'timestamp' },
    timeFormat: 's',
  },
})

const FLAGGED_WIDTH = 24

function planOf(
  role: Exclude<Role, 'links'>,
  name: string,
  width: number,
  links: ReadonlyMap<string, Link>,
): RolePlan {
  if (role === 'ratings') return signalPlan('rated', 'rating')
  if (role === 'tags') return signalPlan('tagged', 'tag')
  if (role === 'users') {
    return {
      columns: ['userId'],
      transform: {
        columns: ['userId', 'gender', 'age', 'occupation', 'zipCode'],
        apply: name === 'u.user' ? userOf100k : userOf1m,
      },
      mapping: {
        target: { kind: 'items', name: 'person' },
        map: fields('id=userId', 'gender', 'age', 'occupation', 'zipCode'),
      },
    }
  }
  const movie = width >= FLAGGED_WIDTH ? movieOf100k : movieOf
  return {
    columns: ['movieId', 'title'],
    transform: {
      columns: ['movieId', 'title', 'genres', 'year', 'imdbId', 'tmdbId'],
      apply: cells => withLinks(movie(cells), links),
    },
    mapping: {
      target: { kind: 'items', name: 'movie' },
      map: fields('id=movieId', 'title', 'genres', 'year', 'imdbId', 'tmdbId'),
    },
  }
}

async function toInput(
  app: App,
  role: Exclude<Role, 'links'>,
  file: ImportFile,
  request: { path: string; limits: ImportLimits; links: ReadonlyMap<string, Link> },
): Promise<MappedInput> {
  const { path, limits, links } = request
  const name = file.name.toLowerCase()
  const isPiped = name === 'u.item' || name === 'u.user'
  const found = await inspectFile(
    file,
    isPiped ? { delimiter: '|', hasHeader: false, isQuoted: false } : {},
  )
  const width = found.columns.length
  const { columns, mapping, transform } = planOf(role, name, width, links)
  if (width < columns.length) {
    const reason = `${file.label} has ${width} columns, ${role} have ${columns.length} or more`
    throw importErrors.create('IMPORT_NOT_RECOGNISED', { path, reason, next: LAYOUT_HELP })
  }
  const table = withMixedEncoding({
    ...found,
    columns: [...columns, ...found.columns.slice(columns.length)],
  })
  return tableInput({
    app,
    file,
    limits,
    table,
    mapping,
    ...(transform === undefined ? {} : { transform }),
  })
}

function fields(...names: string[]): Record<string, string> {
  return Object.fromEntries(
    names.map(name => (name.includes('=') ? (name.split('=') as [string, string]) : [name, name])),
  )
}

function userOf1m(cells: readonly string[]): readonly string[] {
  const [userId = '', gender = '', age = '', occupation = '', zipCode = ''] = cells
  return [userId, gender, age, OCCUPATIONS[Number(occupation)] ?? occupation, zipCode]
}

function userOf100k(cells: readonly string[]): readonly string[] {
  const [userId = '', age = '', gender = '', occupation = '', zipCode = ''] = cells
  return [userId, gender, age, occupation, zipCode]
}

const NO_GENRES = '(no genres listed)'

function movieOf(cells: readonly string[]): readonly string[] {
  const [movieId = '', title = '', genres = ''] = cells
  return [movieId, title, genres === NO_GENRES ? '' : genres, yearOf(title)]
}

function movieOf100k(cells: readonly string[]): readonly string[] {
  const [movieId = '', title = ''] = cells
  const genres = GENRES_100K.filter((genre, index) => genre !== '' && cells[5 + index] === '1')
  return [movieId, title, genres.join('|'), yearOf(title)]
}

function yearOf(title: string): string {
  return /\((\d{4})(?:[-–]\d{0,4})?\)\s*$/.exec(title)?.[1] ?? ''
}

interface Link {
  readonly imdbId: string
  readonly tmdbId: string
}

function withLinks(cells: readonly string[], links: ReadonlyMap<string, Link>): readonly string[] {
  const link = links.get(cells[0] ?? '')
  return [...cells, link?.imdbId ?? '', link?.tmdbId ?? '']
}

const LINKS_MAX = 1_000_000

async function readLinks(
  file: ImportFile,
  limits: ImportLimits,
): Promise<ReadonlyMap<string, Link>> {
  const links = new Map<string, Link>()
  const dialect = inspectTable(Buffer.from('movieId,imdbId,tmdbId\n'), true, {})?.dialect
  if (dialect === undefined) return links
  for await (const block of readDelimited(file.read(), dialect, limits)) {
    for (const { cells } of block.rows) {
      const [movieId = '', imdbId = '', tmdbId = ''] = cells
      if (links.size < LINKS_MAX && /^\d+$/.test(movieId)) links.set(movieId, { imdbId, tmdbId })
    }
  }
  return links
}
