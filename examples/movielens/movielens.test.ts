import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import { openShell, regionsOf } from '../testing/shell.ts'

const region = regionsOf(fileURLToPath(new URL('./movielens.sh', import.meta.url)))

/** Eighty films and thirty people, in the layout of ml-latest-small. */
function smallArchive(): Buffer {
  const films = Array.from({ length: 80 }, (_, film) => `${film},Film ${film} (1999),Comedy|War`)
  const ratings = Array.from({ length: 300 }, (_, at) => {
    const person = 20 + (at % 30)
    return `${person},${(at * 7 + person) % 80},${(at % 9) / 2 + 1},${1_000_000_000 + at * 60}`
  })
  return zipOf({
    'ml-latest-small/movies.csv': ['movieId,title,genres', ...films].join('\n'),
    'ml-latest-small/ratings.csv': ['userId,movieId,rating,timestamp', ...ratings].join('\n'),
  })
}

/** A zip archive (APPNOTE 4.3) of stored files. */
function zipOf(files: Readonly<Record<string, string>>): Buffer {
  const locals: Buffer[] = []
  const entries: Buffer[] = []
  let offset = 0
  for (const [name, text] of Object.entries(files)) {
    const content = Buffer.from(text)
    const shared = Buffer.alloc(26)
    shared.writeUInt16LE(20, 0)
    shared.writeUInt32LE(crc32(content), 10)
    shared.writeUInt32LE(content.length, 14)
    shared.writeUInt32LE(content.length, 18)
    shared.writeUInt16LE(name.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), shared, Buffer.from(name), content])
    const place = Buffer.alloc(14)
    place.writeUInt32LE(offset, 10)
    entries.push(
      Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), shared, place, Buffer.from(name)]),
    )
    locals.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(entries)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, directory, end])
}

test('the MovieLens commands of the README work on an archive in the layout of GroupLens', async t => {
  const shell = await openShell()
  t.after(() => shell.close())
  writeFileSync(join(shell.folder, 'ml-latest-small.zip'), smallArchive())
  const output = await shell.run(region('import'))
  assert.match(output, /380 appended, 0 there before, 0 refused/)
  assert.match(output, /home for person 42\n#\s+id\s+title/)
  assert.match(output, /Film \d+ \(1999\) [^\n]*\n\s+(because of|similar to) Film/)
})
