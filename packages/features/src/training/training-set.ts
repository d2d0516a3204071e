/**
 * Makes a training set: observations, labels, features as they were known at each observation, in one
 * Parquet file with a manifest beside it.
 *
 * Promise: a row depends on what was known at its time and on nothing that came later, but for its
 * label, which is what is known of it at the positions that the manifest names. The same definition
 * over the same positions gives the same rows. The file and its manifest are made aside and renamed,
 * the manifest last: a process that is killed leaves the ones of before, or a file without a manifest,
 * never half of one. Begun again, it goes on with the parts that were finished, where definition and
 * positions are the same.
 *
 *   1. observations and labels of the log, partition by partition  -> parts
 *   2. sorted by time, labels joined                               -> observations.parquet  (DuckDB)
 *   3. each view over its partitions, on threads                   -> a part for each share
 *   4. parts joined by the number of the row                       -> the file              (DuckDB)
 */
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  fsyncSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { App, TrainingSetDefinition } from '@millrace/core'
import { CELL_STATUSES } from '../cell-row.ts'
import type { FeaturePlan } from '../plan.ts'
import { featuresErrors } from '../errors.ts'
import { loadTables, type TablesDriver } from '../files/load.ts'
import { ROW, TIME, KNOWN, entityColumn, type AnswerJob, type AnswerReport } from './answer.ts'
import { EVENT, matchColumn, ORDER, VALUE, WEIGHT, type ExtractJob } from './extract.ts'
import { columnsOf, type TrainingColumn } from './columns.ts'
import type { Manifest } from './manifest.ts'

/** The format of manifests that this build writes. */
const FORMAT = 1
const SKEW_MS = 60_000
const LABEL = 'label'
/** Of the memory that is given, what DuckDB may have: the threads need theirs. */
const TABLES_PART = 0.4

/** A step that a thread takes. */
export type TrainingJob =
  | { readonly kind: 'extract'; readonly job: ExtractJob }
  | { readonly kind: 'answer'; readonly job: AnswerJob }

/** What makes a training set. */
export interface TrainingPorts {
  /** Runs a step on one of the threads; `threads` of them run at once. */
  run(job: TrainingJob): Promise<number | AnswerReport>
  readonly threads: number
  /** Ends of all partitions of the log: nothing behind them counts. */
  readonly ends: ReadonlyMap<string, number>
  readonly plans: ReadonlyMap<string, FeaturePlan>
}

/** Which training set, and where to. */
export interface TrainingRequest {
  readonly app: App
  readonly trainingSet: string
  /** The file to write, `.parquet`. Its manifest is `<file>.json` beside it. */
  readonly file: string
  /** A CSV or Parquet file of observations instead of events: a column for each kind of entity, `time`, and perhaps `label` and `weight`. */
  readonly observations?: string
  /** Default 2 GiB, of which DuckDB has a part. */
  readonly memoryBytesMax?: number
  readonly nowMs: number
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void
}

/** Makes a training set; gives its manifest. Throws TRAINING_SET_*, TABLES_DRIVER_MISSING. */
export async function makeTrainingSet(
  ports: TrainingPorts,
  request: TrainingRequest,
): Promise<Manifest> {
  const { app, trainingSet: name, file } = request
  const definition = app.options.trainingSets?.[name]
  if (definition === undefined) {
    const known = Object.keys(app.options.trainingSets ?? {}).join(', ') || 'none'
    throw featuresErrors.create('TRAINING_SET_UNKNOWN', { name, known })
  }
  if (!file.endsWith('.parquet')) throw featuresErrors.create('TRAINING_SET_FILE', { file })
  const driver = await loadTables()
  const making = new Making(ports, request, definition, driver)
  const manifest = await making.make()
  writeWhole(`${file}.json`, `${JSON.stringify(manifest, null, 2)}\n`)
  rmSync(making.folder, { recursive: true, force: true })
  return manifest
}

class Making {
  readonly folder: string
  readonly #ports: TrainingPorts
  readonly #request: TrainingRequest
  readonly #definition: TrainingSetDefinition
  readonly #driver: TablesDriver
  readonly #columns: readonly TrainingColumn[]
  #done = 0
  #total = 0

  constructor(
    ports: TrainingPorts,
    request: TrainingRequest,
    definition: TrainingSetDefinition,
    driver: TablesDriver,
  ) {
    this.#ports = ports
    this.#request = request
    this.#definition = definition
    this.#driver = driver
    this.#columns = columnsOf(definition.service, ports.plans)
    const { file } = request
    this.folder = join(dirname(file), `.${basename(file)}.making-${this.#identity().slice(0, 12)}`)
  }

  async make(): Promise<Manifest> {
    const { file, memoryBytesMax = 2 * 1024 ** 3 } = this.#request
    mkdirSync(this.folder, { recursive: true })
    const spill = join(this.folder, 'tables')
    rmSync(spill, { recursive: true, force: true })
    mkdirSync(spill)
    const { threads } = this.#ports
    const answers = this.#answerJobs()
    const extracts = this.#extractJobs()
    this.#total = extracts.length + answers.length + 2
    const tables = await this.#driver.openTables({
      folder: spill,
      memoryBytesMax: Math.floor(memoryBytesMax * TABLES_PART),
      threads,
    })
    try {
      await Promise.all(extracts.map(job => this.#run({ kind: 'extract', job })))
      const counts = await this.#observe(tables, extracts)
      this.#step()
      // Where DuckDB waits, its memory is given to the threads.
      const reports = await Promise.all(answers.map(job => this.#run({ kind: 'answer', job })))
      await this.#assemble(tables, answers, file)
      const manifest = await this.#describe(tables, counts, answers, reports as AnswerReport[])
      this.#step()
      return manifest
    } finally {
      tables.close()
    }
  }

  #step(): void {
    this.#done += 1
    this.#request.onProgress?.({ done: this.#done, total: this.#total })
  }

  /** Runs a step, or reads what came of it when it was taken before. */
  async #run(job: TrainingJob): Promise<number | AnswerReport> {
    const note = `${job.job.part}.done`
    if (existsSync(note)) {
      this.#step()
      return JSON.parse(readFileSync(note, 'utf8')) as number | AnswerReport
    }
    rmSync(job.job.part, { force: true })
    const result = await this.#ports.run(job)
    // The part is durable before the note says that it is whole.
    syncFile(job.job.part)
    writeWhole(note, JSON.stringify(result))
    this.#step()
    return result
  }

  #extractJobs(): readonly ExtractJob[] {
    const { observe, label } = this.#definition
    const jobsOf = (stream: string, of: ExtractJob['of']): ExtractJob[] =>
      this.#partitionsOf(stream).map(({ partition, end }) => ({
        trainingSet: this.#request.trainingSet,
        of,
        partition,
        end,
        part: join(this.folder, `${of}-${partition}.parquet`),
      }))
    if (this.#request.observations !== undefined) return []
    return [
      ...jobsOf(observe.stream, 'observations'),
      ...(label === undefined ? [] : jobsOf(label.event.stream, 'labels')),
    ]
  }

  #partitionsOf(stream: string): readonly { readonly partition: number; readonly end: number }[] {
    const { partitions } = this.#request.app
    return Array.from({ length: partitions }, (_, partition) => ({
      partition,
      end: this.#ports.ends.get(`${stream}/${partition}`) ?? 0,
    }))
  }

  #answerJobs(): readonly AnswerJob[] {
    const { app } = this.#request
    const ends = this.#allEnds()
    const bySource = Map.groupBy(this.#columns, sourceOf)
    return [...bySource].flatMap(([source, columns]) => {
      const [{ of, entity, pair, read }] = columns as [TrainingColumn]
      const threads = Math.min(this.#ports.threads, app.partitions)
      return Array.from({ length: threads }, (_, thread) => ({
        of,
        isTable: typeof read !== 'number',
        partitions: Array.from({ length: app.partitions }, (_p, at) => at).filter(at => at % threads === thread), // prettier-ignore
        ends,
        skewMs: SKEW_MS,
        latenessMs: app.latenessMs,
        observations: join(this.folder, 'observations.parquet'),
        entity,
        pair,
        cells: columns.map(column => ({
          name: column.name,
          read: column.read,
          values: column.values,
        })),
        part: join(this.folder, `${source}-${thread}-of-${threads}.parquet`),
      }))
    })
  }

  #allEnds(): readonly (readonly [string, number])[] {
    return [...this.#ports.ends].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Sorts observations by time and joins their labels; gives how many were left out. */
  async #observe(
    tables: Awaited<ReturnType<TablesDriver['openTables']>>,
    extracts: readonly ExtractJob[],
  ): Promise<Manifest['observations']> {
    const { text, quoted, fileRows } = this.#driver
    const { label, service } = this.#definition
    const observed = join(this.folder, 'observations.parquet')
    const { observations } = this.#request
    const partsOf = (of: ExtractJob['of']): string =>
      `read_parquet([${extracts
        .filter(job => job.of === of)
        .map(job => text(job.part))
        .join(', ')}])`
    const entities = service.entities.map(kind => quoted(entityColumn(kind)))
    const hasEntities = entities.map(column => `${column} IS NOT NULL`).join(' AND ')
    if (observations !== undefined) {
      await this.#readFile(tables, fileRows(observations))
    } else {
      await tables.run(`CREATE VIEW found AS SELECT * FROM ${partsOf('observations')}`)
    }
    const [counted] = await tables.rows(`SELECT count(*)::INTEGER AS all_rows, count(*) FILTER (WHERE NOT (${hasEntities}))::INTEGER AS nameless FROM found`) // prettier-ignore
    const { all_rows: all, nameless } = counted as { all_rows: number; nameless: number }
    const matureMs = label === undefined || observations !== undefined ? undefined : await this.#matureMs(tables, partsOf('observations'), partsOf('labels')) // prettier-ignore
    const isMature = matureMs === undefined ? 'true' : `${TIME} <= ${matureMs}`
    // Rows are numbered in the order in which they are answered.
    await tables.run(
      `CREATE TABLE numbered AS SELECT (row_number() OVER (ORDER BY ${KNOWN}, ${ORDER}) - 1)::INTEGER AS ${ROW}, * ` +
        `FROM found WHERE ${hasEntities} AND ${isMature}`,
    )
    if (label !== undefined && observations === undefined) {
      const same = Object.keys(label.entities)
        .map(kind => `o.${quoted(matchColumn(kind))} = l.${quoted(matchColumn(kind))}`)
        .join(' AND ')
      await tables.run(
        `CREATE TABLE labelled AS SELECT o.${ROW}, ${POLICIES[label.policy]} AS ${LABEL} FROM numbered o JOIN ${partsOf('labels')} l ` +
          `ON ${same} AND l.${TIME} >= o.${TIME} AND l.${TIME} < o.${TIME} + ${label.withinMs} AND l.${ORDER} <> o.${ORDER} GROUP BY o.${ROW}`,
      )
      await tables.run(
        `CREATE VIEW observed AS SELECT o.*, coalesce(l.${LABEL}, ${label.default}::DOUBLE) AS ${LABEL} FROM numbered o LEFT JOIN labelled l USING (${ROW})`,
      )
    } else {
      await tables.run('CREATE VIEW observed AS SELECT * FROM numbered')
    }
    await tables.writeParquet(`SELECT * FROM observed ORDER BY ${ROW}`, observed, 'uncompressed')
    const [kept] = await tables.rows(`SELECT count(*)::INTEGER AS n FROM numbered`)
    const rows = (kept as { n: number }).n
    return { found: all, rows, withoutEntity: nameless, immature: all - nameless - rows }
  }

  /** Observations of a file: times as numbers of milliseconds, or as timestamps. */
  async #readFile(
    tables: Awaited<ReturnType<TablesDriver['openTables']>>,
    source: string,
  ): Promise<void> {
    const { quoted } = this.#driver
    const described = await tables.rows(`DESCRIBE SELECT * FROM ${source}`)
    const types = new Map(described.map(row => [row['column_name'] as string, row['column_type'] as string])) // prettier-ignore
    const { entities } = this.#definition.service
    for (const needed of [...entities, TIME]) {
      if (types.has(needed)) continue
      const columns = [...types.keys()].join(', ')
      throw featuresErrors.create('TRAINING_SET_COLUMN', { file: this.#request.observations, column: needed, columns }) // prettier-ignore
    }
    const timeMs = /^(TIMESTAMP|DATE)/.test(types.get(TIME) as string)
      ? `epoch_ms(${quoted(TIME)}::TIMESTAMP)::DOUBLE`
      : `${quoted(TIME)}::DOUBLE`
    const columns = [
      `${timeMs} AS ${TIME}`,
      `${timeMs} AS ${KNOWN}`,
      `row_number() OVER ()::DOUBLE AS ${ORDER}`,
      `NULL::VARCHAR AS ${EVENT}`,
      `${types.has(WEIGHT) ? `${quoted(WEIGHT)}::DOUBLE` : '1::DOUBLE'} AS ${WEIGHT}`,
      ...entities.map(kind => `${quoted(kind)}::VARCHAR AS ${quoted(entityColumn(kind))}`),
      ...(types.has(LABEL) ? [`${quoted(LABEL)}::DOUBLE AS ${LABEL}`] : []),
    ]
    await tables.run(`CREATE VIEW found AS SELECT ${columns.join(', ')} FROM ${source}`)
  }

  /** Up to when the window of a label has ended, by the newest event: of later ones it is not known what came of them. */
  async #matureMs(
    tables: Awaited<ReturnType<TablesDriver['openTables']>>,
    ...parts: readonly string[]
  ): Promise<number> {
    const { label } = this.#definition
    const newest = parts.map(part => `SELECT max(${TIME}) AS t FROM ${part}`).join(' UNION ALL ')
    const [row] = await tables.rows(`SELECT max(t) AS t FROM (${newest})`)
    const newestMs = (row as { t: number | null }).t
    return newestMs === null ? 0 : newestMs - (label?.withinMs ?? 0)
  }

  /** Joins the parts of the views to the observations. */
  async #assemble(
    tables: Awaited<ReturnType<TablesDriver['openTables']>>,
    answers: readonly AnswerJob[],
    file: string,
  ): Promise<void> {
    const { text, quoted } = this.#driver
    const { service } = this.#definition
    const bySource = [...Map.groupBy(answers, ({ of, isTable }) => `${of} ${isTable}`).values()]
    const joins = bySource.map((jobs, index) => {
      const parts = jobs.map(({ part }) => text(part)).join(', ')
      return `JOIN read_parquet([${parts}]) v${index} USING (${ROW})`
    })
    const columns = [
      ...service.entities.map(kind => `o.${quoted(entityColumn(kind))} AS ${quoted(kind)}`),
      `make_timestamp((o.${TIME} * 1000)::BIGINT) AS ${TIME}`,
      `o.${EVENT}`,
      ...((await this.#hasLabel(tables)) ? [`o.${LABEL}`] : []),
      `o.${WEIGHT}`,
      ...this.#columns.map(({ name, values }) => {
        const list = LISTS[values]
        return list === undefined
          ? quoted(name)
          : `from_json(${quoted(name)}, '["${list}"]') AS ${quoted(name)}`
      }),
    ]
    const select = `SELECT ${columns.join(', ')} FROM observed o ${joins.join(' ')} ORDER BY ${ROW}`
    await tables.writeParquet(select, file)
  }

  async #hasLabel(tables: Awaited<ReturnType<TablesDriver['openTables']>>): Promise<boolean> {
    const columns = await tables.rows('DESCRIBE observed')
    return columns.some(row => row['column_name'] === LABEL)
  }

  async #describe(
    tables: Awaited<ReturnType<TablesDriver['openTables']>>,
    observations: Manifest['observations'],
    answers: readonly AnswerJob[],
    reports: readonly AnswerReport[],
  ): Promise<Manifest> {
    const { app, trainingSet, file, nowMs } = this.#request
    const { quoted, text } = this.#driver
    const source = `read_parquet(${text(file)})`
    const described = await tables.rows(`DESCRIBE SELECT * FROM ${source}`)
    const statistics = described.map(row => {
      const column = quoted(row['column_name'] as string)
      const isNumber = row['column_type'] === 'DOUBLE'
      const numbers = isNumber ? `avg(${column})` : 'NULL::DOUBLE'
      return `{min: ${isNumber ? `min(${column})` : 'NULL::DOUBLE'}, max: ${isNumber ? `max(${column})` : 'NULL::DOUBLE'}, mean: ${numbers}, missing: (count(*) - count(${column}))::DOUBLE, "distinct": approx_count_distinct(${column})::DOUBLE}`
    })
    const [row] = await tables.rows(`SELECT ${statistics.map((sql, at) => `${sql} AS c${at}`).join(', ')} FROM ${source}`) // prettier-ignore
    const statuses = new Map<string, Record<string, number>>()
    answers.forEach(({ cells }, job) =>
      cells.forEach(({ name }, cell) => {
        const counts = statuses.get(name) ?? {}
        statuses.set(name, counts)
        reports[job]?.statuses[cell]?.forEach((count, status) => {
          const status_ = CELL_STATUSES[status] as string
          if (count > 0) counts[status_] = (counts[status_] ?? 0) + count
        })
      }),
    )
    return {
      format: FORMAT,
      trainingSet,
      app: app.name,
      definition: app.fingerprint,
      madeMs: nowMs,
      rows: observations.rows,
      observations,
      positions: Object.fromEntries(this.#allEnds()),
      features: Object.fromEntries(
        this.#columns.map(({ name, of: view, fullName: feature, fingerprint }) => {
          return [name, { view, feature, fingerprint, served: statuses.get(name) ?? {} }]
        }),
      ),
      columns: Object.fromEntries(
        described.map((column, at) => [
          column['column_name'] as string,
          {
            ...(row?.[`c${at}`] as Manifest['columns'][string]),
            type: column['column_type'] as string,
          },
        ]),
      ),
      folded: reports.reduce((sum, { folded }) => sum + folded, 0),
      refolded: reports.reduce((sum, { refolded }) => sum + refolded, 0),
    }
  }

  /** What the parts depend on: others are not gone on with. */
  #identity(): string {
    const { app, trainingSet, observations } = this.#request
    const plans = [...this.#ports.plans.values()].map(({ name, version }) => [name, version])
    const { label, weight } = this.#definition
    const functions = [String(weight), String(label?.value), label?.policy, label?.withinMs, label?.default] // prettier-ignore
    const facts = [app.fingerprint, trainingSet, observations, plans, functions, this.#allEnds(), this.#ports.threads, this.#columns] // prettier-ignore
    return createHash('sha256').update(JSON.stringify(facts)).digest('hex')
  }
}

/** Columns of one source are answered together. */
function sourceOf({ of, read }: TrainingColumn): string {
  return `${typeof read === 'number' ? 'view' : 'table'}-${of}`
}

/** Elements of lists, by what the values of a column are; parts have them as JSON. */
const LISTS: Readonly<Record<string, string>> = { numbers: 'DOUBLE', texts: 'VARCHAR' }

const POLICIES: Readonly<Record<string, string>> = {
  any: `max((l.${VALUE} <> 0)::DOUBLE)`,
  sum: `sum(l.${VALUE} ORDER BY l.${TIME}, l.${ORDER})`,
  first: `first(l.${VALUE} ORDER BY l.${TIME}, l.${ORDER})`,
  last: `last(l.${VALUE} ORDER BY l.${TIME}, l.${ORDER})`,
}

/** Writes a small file whole, durable when it returns. */
function writeWhole(path: string, content: string): void {
  const aside = `${path}.part`
  writeFileSync(aside, content)
  syncFile(aside)
  renameSync(aside, path)
  syncFile(dirname(path))
}

function syncFile(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
