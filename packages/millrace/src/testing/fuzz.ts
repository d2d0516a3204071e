/** What the fuzzer does to this package: requests, files and archives that are imported, and `export.json`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'node:querystring'
import { gzipSync } from 'node:zlib'
import { createSeededRandom, ID_PATTERN } from '@millrace/core'
import { openMemoryLog } from '@millrace/log/memory'
import { createSimClock, createSimDisk, type FuzzTarget, type SimClock } from '@millrace/sim'
import { parseContents } from '../export/folder.ts'
import { createQueryReader, querySchema } from '../http/query.ts'
import { genericApp as app } from '../import/generic-app.ts'
import { identityOf, type ImportFile } from '../import/import-file.ts'
import { IMPORT_LIMITS } from '../import/limits.ts'
import { planFile } from '../import/plan.ts'
import { runImport } from '../import/run.ts'
import { createLogSink } from '../import/sink.ts'
import { listSources } from '../import/source.ts'
import { createIngest, type Ingest } from '../ingest/ingest.ts'
import { zipOf } from './archives.ts'

const LIMITS = { eventsMax: 100, eventBytesMax: 4_000, depthMax: 8 }
const CHUNK_BYTES = 700

const interacted = (number: number): unknown => ({
  type: 'interacted',
  id: `e${number}`,
  at: 1_767_607_200_000 + number,
  data: { person: `p${number % 3}`, item: 'ö"\\', value: number / 3 },
})
const lines = [1, 2, 3].map(number => JSON.stringify(interacted(number))).join('\n')
const words = [
  '"',
  '[',
  '{"type":',
  '\ufeff',
  '\ud83d\ude00',
  '\r\n',
  '\\ud800',
  '1e999',
  '-0',
  '__proto__',
]

/** A way in over an empty log in memory: what one input left does not grow into the next. */
async function createDoor(clock: SimClock): Promise<Ingest> {
  const log = openMemoryLog({ clock })
  await log.declare(app.streams)
  return createIngest({ app, log, clock, newId: () => 'made', limits: LIMITS })
}

async function* chunked(input: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < input.length; at += CHUNK_BYTES) {
    yield Buffer.from(input.subarray(at, at + CHUNK_BYTES))
  }
}

const bodies: readonly FuzzTarget[] = [
  {
    name: 'json',
    shortRuns: 500,
    corpus: () => ({
      valid: [interacted(1), [interacted(1), interacted(2)], []].map(body =>
        Buffer.from(JSON.stringify(body)),
      ),
      words: [...words, ','],
    }),
    run: input =>
      driven(async clock => (await (await createDoor(clock)).body(input, 'json')).text()),
  },
  {
    name: 'ndjson',
    shortRuns: 500,
    corpus: () => ({ valid: [Buffer.from(lines)], words: [...words, '\n', '\n\n'] }),
    run: input =>
      driven(async clock => {
        const door = await createDoor(clock)
        const outcomes = door.lines(chunked(input), { onReleased: () => undefined })
        for await (const outcome of outcomes) outcome.resultsText()
      }),
  },
]

async function driven(work: (clock: SimClock) => Promise<unknown>): Promise<void> {
  const clock = createSimClock({ seed: 1 })
  await clock.drive(() => work(clock))
}

const table = 'person,item,value,at\np,"a ""b""\nc",1.5,1767607200\nq,x,,2026-01-05T10:00:00Z\n'

/** A file that is planned and imported as the command does it. */
function createImport(format: 'csv' | 'jsonl', valid: readonly string[]): FuzzTarget {
  return {
    name: format,
    shortRuns: 200,
    corpus: () => ({
      valid: valid.map(text => Buffer.from(text)),
      words: [...words, ';', '\t', '::', '""', '\r', 'timestamp', '1767607200000', '31/12/2025'],
    }),
    run: input =>
      driven(async clock => {
        const log = openMemoryLog({ clock })
        await log.declare(app.streams)
        const disk = createSimDisk({ clock, random: createSeededRandom(1) })
        const limits = { ...IMPORT_LIMITS, runBytes: 4_000, rowMax: 2_000, batchEvents: 50 }
        const file: ImportFile = {
          name: `f.${format}`,
          label: `f.${format}`,
          bytes: input.length,
          identity: identityOf([input.length], input),
          read: () => chunked(input),
        }
        const planned = await planFile({ app, file, format, options: {}, limits })
        const sink = createLogSink({ log, app, clock })
        await runImport({ app, inputs: [planned.input], disk, sink, clock, limits })
      }),
  }
}

const archive = (): Buffer =>
  zipOf({ 'a/ratings.csv': Buffer.from(table), 'b.csv.gz': gzipSync(table), 'c.jsonl': Buffer.from(lines) }) // prettier-ignore
const ARCHIVE_LIMITS = { ...IMPORT_LIMITS, entriesMax: 50, expandedBytesFree: 100_000 }

/** Zip and gzip as an import opens them: by their first bytes, whatever the file is called. */
function createArchives(): FuzzTarget {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-fuzz-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'input')
  return {
    name: 'archive',
    shortRuns: 200,
    corpus: () => ({
      valid: [archive(), gzipSync(table), Buffer.concat([gzipSync(table), gzipSync(lines)])],
      words: ['PK\u0001\u0002', 'PK\u0003\u0004', 'PK\u0005\u0006', '../', '\u001f', '\0'],
    }),
    async run(input) {
      writeFileSync(path, input)
      const { files } = await listSources(path, ARCHIVE_LIMITS)
      for (const { read } of files) for await (const _ of read());
    },
  }
}

const everyType = {
  type: 'object',
  required: ['kind'],
  properties: {
    kind: { type: 'string', minLength: 1, maxLength: 64 },
    limit: { type: 'integer', minimum: 1, maximum: 1000, default: 20 },
    weight: { type: 'number' },
    explain: { type: 'boolean' },
    at: {
      oneOf: [
        { type: 'integer', minimum: 0 },
        { type: 'string', format: 'date-time' },
      ],
    },
    exclude: { type: 'array', items: { type: 'string', pattern: ID_PATTERN }, maxItems: 10 },
    numbers: { type: 'array', items: { type: 'integer' } },
  },
}
const readQuery = createQueryReader(querySchema(everyType, true))

const contents = {
  format: 1,
  app: 'clips',
  definition: 'abc',
  takenMs: 1_767_607_200_000,
  position: 'p',
  recordFormat: 'jsonl',
  personal: 'kept',
  isWhole: true,
  streams: [{ name: 'person', partitions: 2 }],
  files: [0, 1].map(partition => ({
    path: `records/person/${partition}.jsonl`,
    stream: 'person',
    partition,
    from: 0,
    records: 3,
    outside: 2,
    bytes: 99,
    sha256: 'ab'.repeat(32),
  })),
}

/** The targets. */
export const targets: readonly FuzzTarget[] = [
  ...bodies,
  createImport('csv', [table, table.replaceAll(',', ';'), 'a::b::5::978300760\n']),
  createImport('jsonl', [lines, '{"person":"p","item":"i","at":1767607200}\n']),
  createArchives(),
  {
    name: 'export-json',
    shortRuns: 1_000,
    corpus: () => ({
      valid: [Buffer.from(JSON.stringify(contents))],
      words: ['null', '[', '{', '"files":', '"streams":', '__proto__', '-1', '1e308', '../'],
    }),
    run: input => parseContents('a folder', input.toString()),
  },
  {
    name: 'query',
    shortRuns: 2_000,
    corpus: () => ({
      valid: ['kind=a&limit=5&weight=1.5&explain&at=2026-01-05T10:00:00Z', 'kind=b&exclude=a,b&exclude=c&numbers=1,2&at=7&atLeast=p', 'kind=a&timeoutMs=3'].map(text => Buffer.from(text)), // prettier-ignore
      words: ['&', '=', 'exclude=', '&limit=', '%', '%00', '%ff', '__proto__=', 'toString=', ',', '1e999', '&at='], // prettier-ignore
    }),
    run: input => readQuery(parse(input.toString('latin1'))),
  },
]
