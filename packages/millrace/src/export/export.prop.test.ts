/** Exports are files that anybody may have changed: what cannot be read is refused, and says where. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isError } from '@millrace/core'
import fc from 'fast-check'
import { checkFiles, hashFile, parseContents, type ExportContents } from './folder.ts'
import { openLineWriter, readRecordLines, type RecordWriter } from './lines.ts'
import { openParquetWriter, readParquet } from './parquet.ts'
import type { ExportedRecord } from './record.ts'

const numRuns = Number(process.env['MILLRACE_PROP_RUNS'] ?? 60)
const root = mkdtempSync(join(tmpdir(), 'millrace-export-prop-'))
after(() => rmSync(root, { recursive: true }))

const timeMs = fc.integer({ min: -8.64e15, max: 8.64e15 })
const json = fc.jsonValue().map(value => JSON.parse(JSON.stringify(value)) as unknown)
const record: fc.Arbitrary<ExportedRecord> = fc.record(
  {
    tenant: fc.string(),
    stream: fc.string(),
    partition: fc.nat({ max: 1000 }),
    offset: fc.maxSafeNat(),
    type: fc.string({ unit: 'grapheme' }),
    key: fc.string({ unit: 'grapheme' }),
    keys: fc.array(fc.string()),
    id: fc.string(),
    eventTimeMs: timeMs,
    ingestTimeMs: timeMs,
    watermarkMs: timeMs,
    definition: fc.string(),
    generation: fc.nat(),
    isHistory: fc.boolean(),
    headers: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.string(), { noNullPrototype: true }), // prettier-ignore
    data: json,
  },
  {
    noNullPrototype: true,
    requiredKeys: [
      ...(['tenant', 'stream', 'partition', 'offset', 'type', 'key', 'id', 'eventTimeMs'] as const),
      ...(['ingestTimeMs', 'watermarkMs', 'definition', 'generation', 'isHistory'] as const),
      ...(['headers', 'data'] as const),
    ],
  },
)

async function all(records: AsyncIterable<ExportedRecord>): Promise<ExportedRecord[]> {
  const found: ExportedRecord[] = []
  for await (const one of records) found.push(one)
  return found
}

const formats: Readonly<Record<string, [(path: string) => RecordWriter, typeof readRecordLines]>> =
  {
    jsonl: [openLineWriter, readRecordLines],
    parquet: [openParquetWriter, readParquet],
  }

for (const [format, [openWriter, read]] of Object.entries(formats)) {
  const path = join(root, `file.${format}`)
  const write = async (records: readonly ExportedRecord[]): Promise<void> => {
    rmSync(path, { force: true })
    const writer = openWriter(path)
    for (const one of records) writer.add(one)
    await writer.finish()
  }

  test(`records are read from ${format} as they were written`, () =>
    fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 20 }), async records => {
        await write(records)
        assert.deepEqual(await all(read(path, 'x')), records)
      }),
      { numRuns },
    ))
}

/** Writes bytes, and drops two at some place in favour of others. */
const change = fc.record({ place: fc.nat(), bytes: fc.uint8Array({ maxLength: 4 }) })
function changed(file: Buffer, { place, bytes }: { place: number; bytes: Uint8Array }): Buffer {
  const at = place % file.length
  return Buffer.concat([file.subarray(0, at), bytes, file.subarray(at + 2)])
}

test('lines that were changed are refused by number, or hold other records', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 3 }),
      change,
      async (some, how) => {
        const path = join(root, 'changed.jsonl')
        const text = some.map(one => `${JSON.stringify(one)}\n`).join('')
        writeFileSync(path, changed(Buffer.from(text), how))
        try {
          await all(readRecordLines(path, 'x'))
        } catch (error) {
          assert.ok(isError(error, 'EXPORT_DAMAGED'), String((error as Error).stack))
          assert.match(error.message, /^x is not as it was exported: .+ \(line \d\)\.$/)
        }
      },
    ),
    { numRuns },
  ))

test('a file of which anything was changed is refused before it is read', async () => {
  const path = join(root, 'records.parquet')
  rmSync(path, { force: true })
  const writer = openParquetWriter(path)
  for (const one of fc.sample(record, { seed: 1, numRuns: 3 })) writer.add(one)
  await writer.finish()
  const file = readFileSync(path)
  const part = { path: 'records.parquet', stream: 'person', partition: 0, from: 0, records: 3, outside: 3 } // prettier-ignore
  const contents = { files: [{ ...part, ...(await hashFile(path)) }] }
  await checkFiles(root, contents, () => undefined)
  await fc.assert(
    fc.asyncProperty(change, async how => {
      const other = changed(file, how)
      writeFileSync(path, other)
      if (other.equals(file)) return
      await assert.rejects(
        () => checkFiles(root, contents, () => undefined),
        error => isError(error, 'EXPORT_DAMAGED'),
      )
    }),
    { numRuns },
  )
  // What is no Parquet at all, and what has pages that cannot be unpacked.
  for (const bytes of [Buffer.from('PAR1 no parquet PAR1'), Buffer.from(file).fill(255, 4, 60)]) {
    writeFileSync(path, bytes)
    await assert.rejects(
      () => all(readParquet(path, 'x')),
      error => isError(error, 'EXPORT_DAMAGED'),
    )
  }
})

test('export.json that was changed is refused, or names files of its own folder', () => {
  const contents: ExportContents = {
    app: 'clips',
    definition: 'd',
    takenMs: 1,
    position: 'p1.x',
    recordFormat: 'jsonl',
    personal: 'kept',
    isWhole: true,
    streams: [{ name: 'person', partitions: 4 }],
    files: [
      { path: 'records/person/3.jsonl', stream: 'person', partition: 3, from: 0, records: 2, outside: 1, bytes: 9, sha256: '0f'.repeat(32) }, // prettier-ignore
    ],
  }
  assert.deepEqual(parseContents('x', JSON.stringify({ format: 1, ...contents })), { format: 1, ...contents }) // prettier-ignore
  const format = { toString: false }
  assert.throws(
    () => parseContents('x', JSON.stringify({ ...contents, format })),
    error => isError(error, 'EXPORT_FORMAT_UNKNOWN'),
  )
  const odd = fc.oneof(fc.jsonValue(), fc.constantFrom('../x', '..', '/x', -1, 0.5, 4, 3))
  const changed = fc
    .tuple(odd, fc.nat(), fc.constantFrom('all', 'streams', 'files'))
    .map(([value, which, part]) => {
      const copy = JSON.parse(JSON.stringify({ format: 1, ...contents })) as Record<string, unknown>
      const target = part === 'all' ? copy : ((copy[part] as object[])[0] as object)
      const names = Object.keys(target)
      Object.assign(target, { [names[which % names.length] as string]: value })
      return JSON.stringify(copy)
    })
  fc.assert(
    fc.property(fc.oneof(changed, fc.string(), fc.json()), text => {
      try {
        for (const { path } of parseContents('x', text).files) {
          assert.match(path, /^records\/[a-z][a-z0-9._-]*\/\d+\.(jsonl|parquet)$/)
        }
      } catch (error) {
        if (!isError(error)) throw error
        assert.ok(['EXPORT_DAMAGED', 'EXPORT_FORMAT_UNKNOWN'].includes(error.code), error.code)
      }
    }),
    { numRuns: numRuns * 5 },
  )
})
