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
 *   4. what is made from other cells, and what the request told    -> a part
 *   5. what steps prepare, learnt from all rows                    -> a part
 *   6. parts joined by the number of the row                       -> the file              (DuckDB)
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type App, type FittedState, type TrainingSetDefinition } from '@millrace/core'
import { CELL_STATUSES } from '../cell-row.ts'
import type { CompiledFeatures } from '../compile.ts'
import { featuresErrors } from '../errors.ts'
import { loadTables, type TablesDriver } from '../files/load.ts'
import { TIME, KNOWN, entityColumn, type AnswerJob, type AnswerReport } from './answer.ts'
import { ROW, statusColumn } from './cell-part.ts'
import { EVENT, matchColumn, ORDER, VALUE, WEIGHT, type ExtractJob } from './extract.ts'
import { columnsOf, type TrainingColumn, type TrainingColumns } from './columns.ts'
import { TOLD, type MakeJob } from './make.ts'
import type { Manifest } from './manifest.ts'
import { LABEL, viewFile } from './observations-file.ts'
import { columnNames, prepareRows } from './prepare-rows.ts'
import { syncFile, writeWhole } from './whole-file.ts'

/** The format of manifests that this build writes. */
const FORMAT = 1
const SKEW_MS = 60_000
/** Of the memory that is given, what DuckDB may have: the threads need theirs. */
const TABLES_PART = 0.4

/** A step that a thread takes. */
export type TrainingJob =
  | { readonly kind: 'extract'; readonly job: ExtractJob }
  | { readonly kind: 'answer'; readonly job: AnswerJob }
  | { readonly kind: 'make'; readonly job: MakeJob }

/** What makes a training set. */
export interface TrainingPorts {
  /** Runs a step on one of the threads; `threads` of them run at once. */
  run(job: TrainingJob): Promise<number | AnswerReport>
  readonly threads: number
  /** Ends of all partitions of the log: nothing behind them counts. */
  readonly ends: ReadonlyMap<string, number>
  readonly features: Pick<CompiledFeatures, 'plans' | 'services'>
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
  if (manifest.fitted !== undefined) writeWhole(`${file}.fitted.json`, `${JSON.stringify(manifest.fitted, null, 2)}\n`) // prettier-ignore
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
  readonly #columns: TrainingColumns
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
    this.#columns = columnsOf(definition.service, ports.features.services)
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
    const made = this.#makeJob()
    this.#total = extracts.length + answers.length + (made === undefined ? 2 : 3)
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
      const answered = answers.map(({ cells, of, isTable, part }, at): Answered => {
        return {
          source: `${of} ${isTable} ${typeof cells[0]?.read}`,
          cells,
          part,
          report: reports[at] as AnswerReport,
        }
      })
      if (made !== undefined) answered.push(await this.#make(tables, answered, made))
      const fitted = await this.#prepare(tables, answered)
      await this.#assemble(tables, answered, file)
      const described = await this.#describe(tables, counts, answered)
      const manifest = fitted === undefined ? described : { ...described, fitted }
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
    const bySource = Map.groupBy(this.#columns.answered, sourceOf)
    return [...bySource].flatMap(([source, columns]) => {
      const [{ of, entity, pair, read }] = columns as [TrainingColumn]
      const threads = Math.min(this.#ports.threads, app.partitions)
      return Array.from({ length: threads }, (_, thread) => ({
        of,
        isTable: typeof read !== 'number' && 'field' in read,
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
          isInput: column.isInput,
        })),
        part: join(this.folder, `${source}-${thread}-of-${threads}.parquet`),
      }))
    })
  }

  /** Undefined where nothing is made. */
  #makeJob(): MakeJob | undefined {
    if (this.#columns.made.length === 0) return undefined
    const [inputs, part] = ['inputs.parquet', 'made.parquet'].map(name => join(this.folder, name)) as [string, string] // prettier-ignore
    return { trainingSet: this.#request.trainingSet, inputs, part }
  }

  /** Makes what is made from other cells. */
  async #make(tables: Tables, answered: readonly Answered[], job: MakeJob): Promise<Answered> {
    const { quoted } = this.#driver
    const inputs = this.#columns.answered.filter(({ isInput }) => isInput)
    const columns = inputs.flatMap(({ name }) => [quoted(name), quoted(statusColumn(name))])
    if (!existsSync(`${job.part}.done`)) {
      const select = `SELECT o.${ROW}, o.${TIME}, o.${TOLD}, ${columns.join(', ')} FROM observed o ${this.#joins(answered)} ORDER BY ${ROW}`
      await tables.writeParquet(select, job.inputs, 'uncompressed')
    }
    const report = (await this.#run({ kind: 'make', job })) as AnswerReport
    return { source: 'made', cells: this.#columns.made, part: job.part, report }
  }

  /** Joins the parts of each source to the observations. */
  #joins(answered: readonly Answered[]): string {
    const bySource = Map.groupBy(answered, ({ source }) => source)
    return [...bySource.values()]
      .map((own, index) => {
        const parts = own.map(({ part }) => this.#driver.text(part)).join(', ')
        return `JOIN read_parquet([${parts}]) v${index} USING (${ROW})`
      })
      .join(' ')
  }

  #allEnds(): readonly (readonly [string, number])[] {
    return [...this.#ports.ends].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Sorts observations by time and joins their labels; gives how many were left out. */
  async #observe(
    tables: Tables,
    extracts: readonly ExtractJob[],
  ): Promise<Manifest['observations']> {
    const { text, quoted } = this.#driver
    const { label, service } = this.#definition
    const observed = join(this.folder, 'observations.parquet')
    const { observations } = this.#request
    const partsOf = (of: ExtractJob['of']): string =>
      `read_parquet([${extracts
        .filter(job => job.of === of)
        .map(job => text(job.part))
        .join(', ')}])`
    const ids = service.entities.map(kind => quoted(entityColumn(kind)))
    const hasEntities = ids.map(column => `${column} IS NOT NULL`).join(' AND ')
    if (observations !== undefined) {
      const told = this.#columns.plan.context.map(({ name }) => name)
      const { entities } = service
      await viewFile(tables, this.#driver, { file: observations, entities, told })
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

  /** Up to when the window of a label has ended, by the newest event: of later ones it is not known what came of them. */
  async #matureMs(tables: Tables, ...parts: readonly string[]): Promise<number> {
    const { label } = this.#definition
    const newest = parts.map(part => `SELECT max(${TIME}) AS t FROM ${part}`).join(' UNION ALL ')
    const [row] = await tables.rows(`SELECT max(t) AS t FROM (${newest})`)
    const newestMs = (row as { t: number | null }).t
    return newestMs === null ? 0 : newestMs - (label?.withinMs ?? 0)
  }

  /** Joins the parts of the views to the observations. */
  async #assemble(tables: Tables, answered: readonly Answered[], file: string): Promise<void> {
    const { quoted } = this.#driver
    const { service } = this.#definition
    const columns = [
      ...service.entities.map(kind => `o.${quoted(entityColumn(kind))} AS ${quoted(kind)}`),
      `make_timestamp((o.${TIME} * 1000)::BIGINT) AS ${TIME}`,
      `o.${EVENT}`,
      ...((await this.#hasLabel(tables)) ? [`o.${LABEL}`] : []),
      `o.${WEIGHT}`,
      ...this.#shown().map(({ name, values }) => {
        const list = LISTS[values]
        return list === undefined
          ? quoted(name)
          : `from_json(${quoted(name)}, '["${list}"]') AS ${quoted(name)}`
      }),
    ]
    const select = `SELECT ${columns.join(', ')} FROM observed o ${this.#joins(answered)} ORDER BY ${ROW}`
    await tables.writeParquet(select, file)
  }

  /** Lets the steps of the service learn from the rows, and adds what they make of them; undefined where there are none. */
  async #prepare(tables: Tables, answered: Answered[]): Promise<FittedState | undefined> {
    const { prepared: columns } = this.#columns
    if (columns.length === 0) return undefined
    const { quoted } = this.#driver
    const [raw, part] = ['raw.parquet', 'prepared.parquet'].map(name => join(this.folder, name)) as [string, string] // prettier-ignore
    const names = [...new Set(columns.flatMap(columnNames))].map(quoted)
    const select = `SELECT ${[ROW, ...names].join(', ')} FROM observed o ${this.#joins(answered)} ORDER BY ${ROW}`
    await tables.writeParquet(select, raw, 'uncompressed')
    const { trainingSet } = this.#request
    const fitted = await prepareRows({ raw, prepared: part }, { trainingSet, columns })
    const report = { rows: fitted.rows, folded: 0, refolded: 0, statuses: [] }
    answered.push({ source: 'prepared', cells: [], part, report })
    return fitted
  }

  async #hasLabel(tables: Tables): Promise<boolean> {
    const columns = await tables.rows('DESCRIBE observed')
    return columns.some(row => row['column_name'] === LABEL)
  }

  async #describe(
    tables: Tables,
    observations: Manifest['observations'],
    answered: readonly Answered[],
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
    for (const { cells, report } of answered)
      cells.forEach(({ name }, cell) => {
        const counts = statuses.get(name) ?? {}
        statuses.set(name, counts)
        report.statuses[cell]?.forEach((count, status) => {
          const status_ = CELL_STATUSES[status] as string
          if (count > 0) counts[status_] = (counts[status_] ?? 0) + count
        })
      })
    // What steps prepare has the status of what they are given.
    const inputs = new Map(this.#columns.prepared.map(({ name, input }) => [name, input.name]))
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
        this.#shown().map(({ name, of: view, fullName: feature, fingerprint }) => {
          const served = statuses.get(inputs.get(name) ?? name) ?? {}
          return [name, { view, feature, fingerprint, served }]
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
      folded: answered.reduce((sum, { report }) => sum + report.folded, 0),
      refolded: answered.reduce((sum, { report }) => sum + report.refolded, 0),
    }
  }

  /** The columns of the service, in order. */
  #shown(): readonly Pick<TrainingColumn, 'name' | 'values' | 'of' | 'fullName' | 'fingerprint'>[] {
    const { answered, made, prepared } = this.#columns
    const all = [...made, ...answered, ...prepared].filter(({ name }) => !name.startsWith('#'))
    return all.sort((a, b) => a.cell - b.cell)
  }

  /** What the parts depend on: others are not gone on with. */
  #identity(): string {
    const { app, trainingSet, observations } = this.#request
    const plans = [...this.#ports.features.plans.values()].map(({ name, version }) => [
      name,
      version,
    ])
    const { label, weight, context } = this.#definition
    const functions = [String(weight), String(label?.value), label?.policy, label?.withinMs, label?.default] // prettier-ignore
    const facts = [app.fingerprint, trainingSet, observations, plans, functions, this.#allEnds(), this.#ports.threads, context, this.#columns.plan.fingerprint, this.#columns.answered] // prettier-ignore
    return createHash('sha256').update(JSON.stringify(facts)).digest('hex')
  }
}

/** Columns of one source are answered together. */
function sourceOf({ of, read }: TrainingColumn): string {
  if (typeof read === 'number') return `view-${of}`
  return `${'field' in read ? 'table' : 'pairs'}-${of}`
}

/** A part with what came of it; parts of one source have different rows. */
interface Answered {
  readonly source: string
  readonly cells: readonly { readonly name: string }[]
  readonly part: string
  readonly report: AnswerReport
}

type Tables = Awaited<ReturnType<TablesDriver['openTables']>>

/** Elements of lists, by what the values of a column are; parts have them as JSON. */
const LISTS: Readonly<Record<string, string>> = { numbers: 'DOUBLE', texts: 'VARCHAR' }

const POLICIES: Readonly<Record<string, string>> = {
  any: `max((l.${VALUE} <> 0)::DOUBLE)`,
  sum: `sum(l.${VALUE} ORDER BY l.${TIME}, l.${ORDER})`,
  first: `first(l.${VALUE} ORDER BY l.${TIME}, l.${ORDER})`,
  last: `last(l.${VALUE} ORDER BY l.${TIME}, l.${ORDER})`,
}
