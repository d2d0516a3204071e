/** What the fuzzer does to this package: files of the log, schemas and manifests of backups. */
import { createHash } from 'node:crypto'
import { createSeededRandom, silentLogger } from '@millrace/core'
import { createSimClock, createSimDisk, type FuzzTarget } from '@millrace/sim'
import { manifestText, parseManifest } from '../backup/manifest.ts'
import { UnitWalk } from '../backup/units.ts'
import { openFileLog } from '../file/index.ts'
import type { EventLog } from '../log.ts'
import { checkCompatibility, type SchemaFormat } from '../schemas/index.ts'
import { sealManifest, sealPages, sealSplit, sealUnits } from './seals.ts'

const STREAM = 'clicks'
const PARTITIONS = 2
const SPLIT_MS = 10_000
const WORDS = ['MRJ\u0001', 'MRU\u0001', 'null', '[', '{"', '1e308,', '-1']

/** A log on a simulated disk, of which one file is what the fuzzer says. */
function createLogFile(
  name: string,
  isWanted: (path: string) => boolean,
  reseal: (input: Buffer) => void,
): FuzzTarget {
  const clock = createSimClock({ seed: 1 })
  const disk = createSimDisk({ clock, random: createSeededRandom(1) })
  const open = (): Promise<EventLog> =>
    openFileLog({
      disk,
      clock,
      random: createSeededRandom(7),
      logger: silentLogger,
      directory: 'log',
      options: { firstSegmentBytes: 8192, segmentBytes: 8192, idMemoryBytesMax: 256 * 1024 },
    })
  let before: ReturnType<typeof disk.snapshot>
  let path = ''
  return {
    name,
    shortRuns: 40,
    async corpus() {
      await clock.drive(async () => {
        const log = await open()
        await log.declare([{ name: STREAM, partitions: PARTITIONS }])
        for (let number = 0; number < 60; number++) {
          const events = ['a', 'b'].map(letter => ({
            stream: STREAM,
            type: 'clicked',
            key: letter,
            id: `${letter}${number}`,
            eventTimeMs: number,
            data: { number, text: 'x'.repeat(number * 3) },
          }))
          await log.commit({ events })
        }
        // Closed segments are split meanwhile.
        await clock.sleep(SPLIT_MS)
        await log.close()
      })
      before = disk.snapshot()
      path = disk.paths().find(isWanted) as string
      return { valid: [disk.peek(path) as Uint8Array], words: WORDS, reseal }
    },
    run(input) {
      disk.restore(before)
      disk.place(path, input)
      return clock.drive(async () => {
        const log = await open()
        try {
          await readAll(log)
        } finally {
          await log.close()
        }
        // What a restore reads: the ledgers, and the journal behind them.
        for await (const _ of new UnitWalk(disk, 'log').units());
      })
    },
  }
}

async function readAll(log: EventLog): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const end = log.ends().get(`${STREAM}/${partition}`) ?? 0
    for (let from = 0; from < end;) {
      const records = await log.read({ stream: STREAM, partition, from })
      if (records.length === 0) break
      for (const { data, headers, keys, type, tenant } of records) {
        void [data, headers, keys, type, tenant]
      }
      from = (records.at(-1)?.offset ?? end) + 1
    }
  }
  for await (const _ of log.history({ stream: STREAM, keys: ['a'], from: 0 }));
}

const documents: Readonly<Record<SchemaFormat, readonly unknown[]>> = {
  json: [
    {
      $schema: 'http://json-schema.org/draft-07/schema#',
      type: 'object',
      properties: { a: { type: 'integer', minimum: 1 }, b: { $ref: '#/definitions/b' } },
      required: ['a'],
      additionalProperties: false,
      definitions: { b: { oneOf: [{ type: 'string', maxLength: 9 }, { enum: [1, 'x', null] }] } },
    },
    {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: ['object', 'null'],
      properties: { list: { type: 'array', prefixItems: [{ const: 1 }], items: { $ref: '#' } } },
      patternProperties: { '^x': { multipleOf: 0.1 } },
      dependentRequired: { list: ['a'] },
      anyOf: [{ not: { required: ['z'] } }, true],
    },
  ],
  avro: [
    {
      type: 'record',
      name: 'clip',
      namespace: 'a.b',
      fields: [
        { name: 'id', type: 'string', default: '' },
        { name: 'next', type: ['null', 'clip'], default: null },
        { name: 'kind', type: { type: 'enum', name: 'kind', symbols: ['A', 'B'], default: 'A' } },
        { name: 'hash', type: { type: 'fixed', name: 'h', size: 16 }, aliases: ['sum'] },
        { name: 'more', type: { type: 'map', values: { type: 'array', items: 'long' } } },
      ],
    },
    ['null', 'int', { type: 'bytes', logicalType: 'decimal', precision: 4, scale: 2 }],
  ],
}

/** Each input is compared with each valid one, in both directions. */
function createSchemas(format: SchemaFormat): FuzzTarget {
  const history = documents[format]
  return {
    name: `schema-${format}`,
    shortRuns: 500,
    corpus: () => ({
      valid: history.map(one => Buffer.from(JSON.stringify(one))),
      words: ['"$ref":"#",', '"type":', '[', '{"allOf":[', '"default":', '"name":"clip",', '1e308'],
    }),
    run(input) {
      let schema: unknown
      try {
        schema = JSON.parse(input.toString())
      } catch {
        return
      }
      checkCompatibility({ format, level: 'FULL_TRANSITIVE', schema, history })
    },
  }
}

const manifest = manifestText({
  id: '20260105t100000000z',
  takenMs: 1_767_607_200_000,
  parent: null,
  app: 'clips',
  origin: 'o',
  term: 0,
  dataFormat: 1,
  unit: 7,
  ingestTimeMs: 1_767_607_200_000,
  position: new Map([['clicks/0', 7]]),
  files: [{ path: 'log/journal/1.jnl', bytes: 9, stamp: 's', chunks: ['ab'.repeat(32)] }],
})

/** The targets. */
export const targets: readonly FuzzTarget[] = [
  createLogFile('journal', path => path.endsWith('.jnl'), sealUnits),
  createLogFile('ledger', path => path.endsWith('.units'), sealUnits),
  createLogFile('split', path => path.endsWith('.split'), sealSplit),
  createLogFile('ids', path => path.endsWith('.run'), sealPages),
  createLogFile('ids-manifest', path => path.endsWith('ids/manifest'), sealManifest),
  createSchemas('json'),
  createSchemas('avro'),
  {
    name: 'backup-manifest',
    shortRuns: 1_000,
    corpus: () => ({
      valid: [Buffer.from(manifest)],
      words: ['null', '[', '"position":', '"files":', '\n'],
      reseal(input) {
        const from = input.indexOf('\n') + 1
        const to = input.indexOf('\n', from)
        const line = input.subarray(from, to < 0 ? input.length : to)
        input.write(createHash('sha256').update(line).digest('hex'), 'latin1')
      },
    }),
    run: input => parseManifest('a manifest', input),
  },
]
