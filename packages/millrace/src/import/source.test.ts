import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createSeededRandom, isError } from '@millrace/core'
import { zipOf } from '../testing/archives.ts'
import { IMPORT_LIMITS } from './limits.ts'
import type { ImportFile } from './import-file.ts'
import { listSources } from './source.ts'

const RUNS = Number(process.env['MILLRACE_PROP_RUNS'] ?? 100)
const folder = await mkdtemp(join(tmpdir(), 'millrace-source-'))
after(() => rm(folder, { recursive: true }))

async function put(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name)
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, content)
  return path
}

async function textOf(file: ImportFile | undefined): Promise<string> {
  assert.ok(file)
  const parts: Uint8Array[] = []
  for await (const chunk of file.read()) parts.push(chunk)
  return Buffer.concat(parts).toString('utf8')
}

test('a plain file, a packed one, and one packed in two pieces', async () => {
  const plain = await listSources(await put('a.csv', 'a,b\n'), IMPORT_LIMITS)
  assert.equal(plain.isSingle, true)
  assert.equal(await textOf(plain.files[0]), 'a,b\n')
  const packed = Buffer.concat([gzipSync('a,'), gzipSync('b\n')])
  const gzip = await listSources(await put('b.csv.gz', packed), IMPORT_LIMITS)
  assert.equal(gzip.files[0]?.name, 'b.csv')
  assert.equal(await textOf(gzip.files[0]), 'a,b\n')
})

test('UTF-16 with its mark is read', async () => {
  const content = Buffer.from('\ufeffaé,b\n', 'utf16le')
  const { files } = await listSources(await put('u.csv', content), IMPORT_LIMITS)
  assert.equal(await textOf(files[0]), 'aé,b\n')
})

test('a folder lists its files, a zip its entries, packed ones too', async () => {
  await put('set/ratings.csv', 'x')
  await put('set/sub/deep.csv', 'y')
  const listed = await listSources(join(folder, 'set'), IMPORT_LIMITS)
  assert.deepEqual(
    listed.files.map(file => file.name),
    ['ratings.csv'],
  )
  const archive = zipOf({
    'ml/': Buffer.alloc(0),
    'ml/ratings.dat': Buffer.from('1::2::3::4\n'),
    'ml/movies.csv.gz': gzipSync('movieId'),
  })
  const zip = await listSources(await put('ml.zip', archive), IMPORT_LIMITS)
  assert.deepEqual(
    zip.files.map(file => [file.name, file.label]),
    [
      ['ratings.dat', 'ml.zip:ml/ratings.dat'],
      ['movies.csv', 'ml.zip:ml/movies.csv.gz'],
    ],
  )
  assert.equal(await textOf(zip.files[0]), '1::2::3::4\n')
  assert.equal(await textOf(zip.files[1]), 'movieId')
})

test('what is missing is refused by name', async () => {
  await assert.rejects(listSources(join(folder, 'none'), IMPORT_LIMITS), error =>
    isError(error, 'IMPORT_SOURCE_MISSING'),
  )
})

test('damaged and cut archives are refused', async () => {
  const good = gzipSync('a,b\n'.repeat(1000))
  const damaged = Buffer.from(good)
  damaged[15] = (damaged[15] as number) ^ 0xff
  for (const bytes of [
    damaged,
    good.subarray(0, 30),
    Buffer.from([0x1f, 0x8b, 9, 9, 9, 9, 9, 9]),
  ]) {
    const { files } = await listSources(await put('bad.csv.gz', bytes), IMPORT_LIMITS)
    await assert.rejects(textOf(files[0]), error => isError(error, 'IMPORT_ARCHIVE_INVALID'))
  }
  const zip = zipOf({ 'a.csv': Buffer.from('a,b\n'.repeat(100)) })
  const cut = await put('cut.zip', zip.subarray(0, zip.length - 30))
  await assert.rejects(listSources(cut, IMPORT_LIMITS), error =>
    isError(error, 'IMPORT_ARCHIVE_INVALID'),
  )
})

test('an archive without entries holds no files', async () => {
  const { files, isSingle } = await listSources(await put('none.zip', zipOf({})), IMPORT_LIMITS)
  assert.deepEqual([files, isSingle], [[], false])
})

test('names that lead outside and encrypted entries are refused', async () => {
  for (const name of ['../../etc/passwd', '/etc/passwd', 'C:/x']) {
    const path = await put('evil.zip', zipOf({ [name]: Buffer.from('x') }))
    await assert.rejects(listSources(path, IMPORT_LIMITS), error =>
      isError(error, 'IMPORT_ARCHIVE_INVALID'),
    )
  }
  const locked = await put('locked.zip', zipOf({ a: Buffer.from('x') }, { flags: 0x801 }))
  const { files } = await listSources(locked, IMPORT_LIMITS)
  await assert.rejects(textOf(files[0]), error => isError(error, 'IMPORT_ARCHIVE_INVALID'))
})

test('a bomb is refused long before it has expanded', async () => {
  const limits = { ...IMPORT_LIMITS, expandedBytesFree: 1024 * 1024 }
  const bomb = Buffer.alloc(50 * 1024 * 1024)
  const gzip = await put('bomb.csv.gz', gzipSync(bomb))
  const zip = await put('bomb.zip', zipOf({ 'a.csv': bomb }))
  const nested = await put('nested.zip', zipOf({ 'a.csv.gz': gzipSync(bomb) }))
  for (const path of [gzip, zip, nested]) {
    const { files } = await listSources(path, limits)
    await assert.rejects(textOf(files[0]), error => isError(error, 'IMPORT_LIMIT_EXCEEDED'))
  }
})

test('two versions of a file have different identities', async () => {
  const path = await put('i.csv', 'a')
  const one = await listSources(path, IMPORT_LIMITS)
  await put('i.csv', 'b')
  const two = await listSources(path, IMPORT_LIMITS)
  assert.notEqual(one.files[0]?.identity, two.files[0]?.identity)
})

test('archives that are damaged anywhere are refused with a code, or give the bytes that were packed', async () => {
  const random = createSeededRandom(20_261_126)
  const pick = (count: number): number => Math.floor(random.next() * count)
  const text = Array.from({ length: 200 }, (_, index) => `p${pick(9)},i${pick(9)},${index}\n`).join('') // prettier-ignore
  const whole = {
    'whole.csv.gz': gzipSync(text),
    'whole.zip': zipOf({ 'a.csv': Buffer.from(text), 'b.csv': Buffer.from(text) }),
  }
  const counts = { refused: 0, unharmed: 0, changed: [] as string[] }
  for (const [name, bytes] of Object.entries(whole)) {
    for (let run = 0; run < RUNS; run++) {
      const at = pick(bytes.length)
      const damaged = [
        () => bytes.subarray(0, at),
        () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + pick(8))]),
        () => Buffer.concat([bytes.subarray(0, at), Buffer.of(pick(256)), bytes.subarray(at + 1)]),
        () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(pick(bytes.length))]),
      ][run % 4]?.() as Buffer
      const path = await put(`damaged/${run}-${name}`, damaged)
      try {
        const { files } = await listSources(path, IMPORT_LIMITS)
        for (const file of files) {
          const found = await textOf(file)
          if (found !== text) counts.changed.push(`${name} ${run}`)
        }
        counts.unharmed += 1
      } catch (error) {
        assert.match(String((error as { code?: unknown }).code), /^IMPORT_[A-Z_]+$/, `${name} ${run}: ${String(error)}`) // prettier-ignore
        counts.refused += 1
      }
    }
  }
  assert.deepEqual(counts.changed, [])
  assert.ok(counts.refused > RUNS, `${counts.refused} refused`)
})
