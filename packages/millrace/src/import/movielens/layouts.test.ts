import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError, type App } from '@millrace/core'
import { createWorld, essence, memoryFile, SMALL_LIMITS, type World } from '../fixtures.test.ts'
import { runImport, type ImportReport } from '../run.ts'
import type { ImportFile } from '../import-file.ts'
import { movielensApp } from './app.ts'
import { movielensInputs } from './layouts.ts'

const app: App = movielensApp
const flags = (...on: number[]): string =>
  Array.from({ length: 19 }, (_, index) => (on.includes(index) ? 1 : 0)).join('|')

async function importInto(world: World, files: readonly ImportFile[]): Promise<ImportReport> {
  return world.drive(async () => {
    const request = { path: 'ml', limits: SMALL_LIMITS }
    const { inputs } = await movielensInputs(app, files, request)
    const clock = { nowMs: () => 0, monotonicMs: () => 0 } as never
    const { disk, sink } = world
    const limits = SMALL_LIMITS
    return runImport({ app, inputs: inputs.map(({ input }) => input), disk, sink, clock, limits })
  })
}

async function recordsOf(
  files: readonly ImportFile[],
): Promise<{ report: ImportReport; data: Record<string, unknown[]>; all: readonly string[] }> {
  const world = await createWorld(app)
  const report = await importInto(world, files)
  const records = await world.records()
  const data: Record<string, unknown[]> = {}
  for (const record of records) (data[record.type] ??= []).push(record.data)
  return { report, data, all: essence(records) }
}

test('ml-latest, ml-25m, ml-20m: CSV with a header, links joined to movies', async () => {
  const { data, report } = await recordsOf([
    memoryFile(
      'ratings.csv',
      'userId,movieId,rating,timestamp\n7,1,4.5,964982703\n7,2,1.0,964982704\n',
    ),
    memoryFile(
      'movies.csv',
      'movieId,title,genres\n1,"Sea, The (1995)",Drama|Comedy\n2,Nameless,(no genres listed)\n',
    ),
    memoryFile('links.csv', 'movieId,imdbId,tmdbId\n1,0114709,862\n2,0113497,\n'),
    memoryFile('tags.csv', 'userId,movieId,tag,timestamp\n7,1,"a ""quoted"" tag",964982705\n'),
    memoryFile('genome-scores.csv', 'movieId,tagId,relevance\n1,1,0.02\n'),
    memoryFile('README.txt', 'x'),
  ])
  assert.equal(report.appended, 5)
  assert.deepEqual(data['rated'], [
    { person: '7', movie: '1', rating: 4.5 },
    { person: '7', movie: '2', rating: 1 },
  ])
  assert.deepEqual(data['tagged'], [{ person: '7', movie: '1', tag: 'a "quoted" tag' }])
  const movies = new Map(
    (data['movie.put'] as { id: string; attributes: unknown }[]).map(put => [
      put.id,
      put.attributes,
    ]),
  )
  assert.deepEqual(movies.get('1'), {
    title: 'Sea, The (1995)',
    genres: ['Drama', 'Comedy'],
    year: 1995,
    imdbId: '0114709',
    tmdbId: '862',
  })
  assert.deepEqual(movies.get('2'), { title: 'Nameless', genres: [], imdbId: '0113497' })
})

test('ml-1m: `::`, no header, Windows-1252, codes of people', async () => {
  const { data, report } = await recordsOf([
    memoryFile('ratings.dat', '1::10::5::978300760\n2::10::2::978300761\n'),
    memoryFile(
      'movies.dat',
      Buffer.from('10::Am\u00e9lie: A "Film" (2001)::Drama|Romance\n', 'latin1'),
    ),
    memoryFile('users.dat', '1::F::1::10::48067\n2::M::56::16::70072\n'),
  ])
  assert.equal(report.refused, 0)
  assert.equal(report.latinLines, 1)
  assert.deepEqual(data['movie.put'], [
    {
      id: '10',
      attributes: { title: 'Amélie: A "Film" (2001)', genres: ['Drama', 'Romance'], year: 2001 },
    },
  ])
  const people = data['person.put'] as { id: string; attributes: unknown }[]
  assert.deepEqual(people.find(put => put.id === '1')?.attributes, {
    gender: 'F',
    age: 1,
    occupation: 'K-12 student',
    zipCode: '48067',
  })
})

test('ml-100k: tabs and pipes, flags of genres', async () => {
  const { data, report } = await recordsOf([
    memoryFile('u.data', '196\t242\t3\t881250949\n186\t242\t3\t891717742\n'),
    memoryFile(
      'u.item',
      Buffer.from(`242|Caf\u00e9 "X" (1997)|24-Jan-1997||http://x|${flags(5, 14)}\n`, 'latin1'),
    ),
    memoryFile('u.user', '196|49|M|writer|55105\n'),
    memoryFile('u1.base', '1\t1\t5\t1\n'),
    memoryFile('u.genre', 'unknown|0\n'),
  ])
  assert.equal(report.refused, 0)
  assert.equal(report.appended, 4)
  assert.deepEqual(data['movie.put'], [
    {
      id: '242',
      attributes: { title: 'Café "X" (1997)', genres: ['Comedy', 'Romance'], year: 1997 },
    },
  ])
  assert.deepEqual(data['person.put'], [
    { id: '196', attributes: { gender: 'M', age: 49, occupation: 'writer', zipCode: '55105' } },
  ])
})

test('ml-10m: tags by `::`, half stars, names with a suffix', async () => {
  const { data } = await recordsOf([
    memoryFile('ratings_part.dat', '1::122::0.5::838985046\n'),
    memoryFile('movies_utf8.csv', 'movieId,title,genres\n122,B (1992),Comedy\n'),
    memoryFile('tags.dat', '15::122::excellent!::1215184630\n'),
    memoryFile('train_ratings.csv', 'userId,movieId,rating,timestamp\n9,9,1,1\n'),
  ])
  assert.deepEqual(data['rated'], [{ person: '1', movie: '122', rating: 0.5 }])
  assert.deepEqual(data['tagged'], [{ person: '15', movie: '122', tag: 'excellent!' }])
})

test('the same history in two layouts gives the same log', async () => {
  const one = await recordsOf([
    memoryFile(
      'ratings.csv',
      'userId,movieId,rating,timestamp\n7,1,4,964982703\n8,1,2,964982704\n',
    ),
  ])
  const two = await recordsOf([
    memoryFile('ratings.dat', '8::1::2::964982704\n7::1::4::964982703\n'),
  ])
  assert.deepEqual(one.all, two.all)
})

test('folders that are no MovieLens are refused, and say what to do', async () => {
  const code = 'IMPORT_NOT_RECOGNISED'
  await assert.rejects(recordsOf([]), error => isError(error, code))
  await assert.rejects(recordsOf([memoryFile('books.csv', 'a,b\n')]), error => isError(error, code))
  await assert.rejects(
    recordsOf([memoryFile('ratings_a.csv', '1,2,3,4\n'), memoryFile('ratings_b.csv', '1,2,3,4\n')]),
    error => isError(error, code) && /ratings_a.csv, ratings_b.csv/.test(error.message),
  )
  await assert.rejects(recordsOf([memoryFile('ratings.csv', 'userId,movieId\n1,2\n')]), error =>
    isError(error, code),
  )
  await assert.rejects(recordsOf([memoryFile('ratings.csv', '')]), error =>
    isError(error, 'IMPORT_EMPTY'),
  )
})
