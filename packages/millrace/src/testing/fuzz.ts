/** What the fuzzer does to this package: bodies of requests, and files that are imported. */
import { createSeededRandom } from '@millrace/core'
import { openMemoryLog } from '@millrace/log/memory'
import { createSimClock, createSimDisk, type FuzzTarget, type SimClock } from '@millrace/sim'
import { genericApp as app } from '../import/generic-app.ts'
import { identityOf, type ImportFile } from '../import/import-file.ts'
import { IMPORT_LIMITS } from '../import/limits.ts'
import { planFile } from '../import/plan.ts'
import { runImport } from '../import/run.ts'
import { createLogSink } from '../import/sink.ts'
import { createIngest, type Ingest } from '../ingest/ingest.ts'

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

/** The targets. */
export const targets: readonly FuzzTarget[] = [
  ...bodies,
  createImport('csv', [table, table.replaceAll(',', ';'), 'a::b::5::978300760\n']),
  createImport('jsonl', [lines, '{"person":"p","item":"i","at":1767607200}\n']),
]
