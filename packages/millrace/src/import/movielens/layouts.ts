/**
 * The files of GroupLens's data sets, in all layouts that were published: `ml-latest`, `ml-25m`,
 * `ml-32m` and `ml-20m` (CSV with a header), `ml-10m` and `ml-1m` (`.dat`, separated by `::`),
 * `ml-100k` (`u.data` by tabs, `u.item` and `u.user` by pipes). Older ones are Windows-1252.
 */
import type { App } from '@millrace/core'
import { readDelimited } from '../delimited.ts'
import { inspectTable, type InspectedTable } from '../dialect.ts'
import { importErrors } from '../errors.ts'
import type { ImportLimits } from '../limits.ts'
import type { ImportFile } from '../source.ts'
import { inspectFile, tableInput, withMixedEncoding, type MappedInput } from '../tables.ts'
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

async function toInput(
  app: App,
  role: Exclude<Role, 'links'>,
  file: ImportFile,
  request: { path: string; limits: ImportLimits; links: ReadonlyMap<string, Link> },
): Promise<MappedInput> {
  const table = withMixedEncoding(
    file.name.toLowerCase() === 'u.item' || file.name.toLowerCase() === 'u.user'
      ? await inspectFile(file, { delimiter: '|', hasHeader: false, isQuoted: false })
      : await inspectFile(file, {}),
  )
  const { limits, links } = request
  const width = table.columns.length
  const wrong = (wanted: number): never => {
    const reason = `${file.label} has ${width} columns, ${role} have ${wanted} or more`
    throw importErrors.create('IMPORT_NOT_RECOGNISED', {
      path: request.path,
      reason,
      next: LAYOUT_HELP,
    })
  }
  const named = (columns: readonly string[]): InspectedTable =>
    width < columns.length
      ? wrong(columns.length)
      : { ...table, columns: [...columns, ...table.columns.slice(columns.length)] }
  const common = { app, file, limits }
  switch (role) {
    case 'ratings':
      return tableInput({
        ...common,
        table: named(['userId', 'movieId', 'rating', 'timestamp']),
        mapping: {
          target: { kind: 'event', name: 'rated' },
          map: { person: 'userId', movie: 'movieId', rating: 'rating', at: 'timestamp' },
          timeFormat: 's',
        },
      })
    case 'tags':
      return tableInput({
        ...common,
        table: named(['userId', 'movieId', 'tag', 'timestamp']),
        mapping: {
          target: { kind: 'event', name: 'tagged' },
          map: { person: 'userId', movie: 'movieId', tag: 'tag', at: 'timestamp' },
          timeFormat: 's',
        },
      })
    case 'users':
      return tableInput({
        ...common,
        table: named(['userId']),
        transform: {
          columns: ['userId', 'gender', 'age', 'occupation', 'zipCode'],
          apply: file.name.toLowerCase() === 'u.user' ? userOf100k : userOf1m,
        },
        mapping: {
          target: { kind: 'items', name: 'person' },
          map: fields('id=userId', 'gender', 'age', 'occupation', 'zipCode'),
        },
      })
    case 'movies':
      return tableInput({
        ...common,
        table: named(['movieId', 'title']),
        transform: {
          columns: ['movieId', 'title', 'genres', 'year', 'imdbId', 'tmdbId'],
          apply: cells => withLinks(width >= 24 ? movieOf100k(cells) : movieOf(cells), links),
        },
        mapping: {
          target: { kind: 'items', name: 'movie' },
          map: fields('id=movieId', 'title', 'genres', 'year', 'imdbId', 'tmdbId'),
        },
      })
  }
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
