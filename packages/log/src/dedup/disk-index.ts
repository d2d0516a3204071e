/**
 * The duplicate index on disk: a table of the newest ids in memory, and sorted runs of all others.
 *
 * Promise: exact. An id is called known only when its whole key, or its whole text, was compared;
 * it is called new only when the tables in memory and every run whose range holds it were asked,
 * and their filters never miss an id that is there. Nothing is ever forgotten.
 *
 * Cost: an ordered id later than all runs costs one look into the table. Memory is bounded by
 * `memoryBytesMax`, whatever the number of ids. See docs/adr/0004-deduplication.md.
 *
 * Failure: a crash leaves the last manifest and its runs; what came later is inserted again by the
 * log from `durableMark()` on. Damage is found by checksums (LOG_DAMAGED) and repaired by deleting
 * the directory: the log makes the index again.
 */
import { isError, type Clock, type Disk, type Logger } from '@millrace/core'
import type { DuplicateIndex, Place } from '../duplicates.ts'
import { logErrors } from '../errors.ts'
import { compareKeys, IdKey, ORDERED, RANDOM, SECRET_BYTES, secretsOf, TEXT } from './id-key.ts'
import { goOn, readManifest, removeLeftovers, writeManifest, type Manifest } from './manifest.ts'
import { MemoryTable } from './memory-table.ts'
import { mergeRuns } from './merge.ts'
import { closeRun, openRuns } from './open-run.ts'
import { sizesOf, type DuplicateIndexPorts } from './options.ts'
import { PageCache, type PagedFile } from './page-cache.ts'
import { BufferPool, PAGE_BYTES } from './pages.ts'
import { checkPlace, highWord, lowWord, placeOf } from './place.ts'
import { compareTo, FOUND, NONE, RunSearch, type Run } from './run.ts'
import { RunWriter } from './run-writer.ts'
import { Sorter } from './sort.ts'
import { chooseMerge } from './tiers.ts'
import { writeTable } from './write-table.ts'

/** Runs of all kinds at which writers wait for merges. */
const RUNS_MAX = 256
const KINDS = [ORDERED, RANDOM, TEXT]
const DONE = Promise.resolve()

/**
 * Opens the duplicate index in a directory, which is made when it is missing. Refuses damage
 * (LOG_DAMAGED, with what to do) and a newer format (LOG_FORMAT_UNKNOWN).
 */
export async function openDuplicateIndex(ports: DuplicateIndexPorts): Promise<DuplicateIndex> {
  const { disk, directory } = ports
  await disk.makeDirectory(directory)
  const parts = directory.split('/')
  for (let depth = 0; depth < parts.length; depth++) {
    await disk.syncDirectory(parts.slice(0, depth).join('/'))
  }
  const manifest = (await readManifest(disk, directory)) ?? {
    mark: 0,
    next: 1,
    secret: ports.random.fill(new Uint8Array(SECRET_BYTES)),
    runs: [],
  }
  await removeLeftovers(disk, directory, manifest.runs)
  const runs = await openRuns(disk, directory, manifest.runs)
  return new DiskDuplicateIndex(ports, manifest, runs)
}

/** A table on its way to the disk. */
interface Frozen {
  readonly table: MemoryTable
  /** Its first entries, up to this many, are written. */
  readonly count: number
  readonly mark: number
  readonly durable: Promise<unknown> | undefined
}

class DiskDuplicateIndex implements DuplicateIndex {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #directory: string
  readonly #goOn: string
  readonly #secret: Uint8Array
  readonly #cache: PageCache
  readonly #search: RunSearch
  /** Keys for callers, for the writer, for merges and for growing tables: none is used across an await or inside the use of another. */
  readonly #key: IdKey
  readonly #writerKey: IdKey
  readonly #mergeKey: IdKey
  readonly #tableKey: IdKey
  readonly #capacity: number
  readonly #due: number
  readonly #heapDue: number
  readonly #sorter = new Sorter()
  readonly #pool = new BufferPool()
  #active: MemoryTable
  #spare: MemoryTable | undefined
  #frozen: Frozen | undefined
  /** Number of the first entry of `#active`, counted since open. */
  #base = 0
  /** By kind. Replaced, never changed. */
  #runs: readonly (readonly Run[])[]
  /** Grows when `#runs` is replaced. */
  #version = 0
  /** Greatest key of all ordered runs. */
  #orderedMax = new Int32Array(4)
  #mark: number
  #next: number
  #inRuns = 0
  #slowLookups = 0
  readonly #slow: { running: number; readonly waiting: (() => void)[]; readonly max: number }
  readonly #loads = new Set<Promise<void>>()
  #turns: Promise<unknown> = DONE
  #installs: Promise<unknown> = DONE
  #flushing: Promise<void> | undefined
  #merging: Promise<void> | undefined
  #isMergeStopped = false
  #isClosed = false

  constructor(ports: DuplicateIndexPorts, manifest: Manifest, runs: readonly Run[]) {
    const sizes = sizesOf(ports.options)
    const { hashBits } = sizes
    this.#disk = ports.disk
    this.#clock = ports.clock
    this.#logger = ports.logger
    this.#directory = ports.directory
    this.#goOn = goOn(ports.directory)
    this.#secret = manifest.secret
    const secrets = secretsOf(manifest.secret)
    this.#key = new IdKey(secrets, hashBits)
    this.#writerKey = new IdKey(secrets, hashBits)
    this.#mergeKey = new IdKey(secrets, hashBits)
    this.#tableKey = new IdKey(secrets, hashBits)
    this.#capacity = sizes.tableEntries
    this.#due = Math.floor(this.#capacity * 0.75)
    this.#heapDue = sizes.heapBytes
    this.#cache = new PageCache(sizes.cachePages, this.#goOn)
    this.#search = new RunSearch(this.#cache, this.#goOn)
    this.#slow = { running: 0, waiting: [], max: sizes.slowMax }
    this.#active = this.#newTable()
    this.#runs = []
    this.#mark = manifest.mark
    this.#next = manifest.next
    this.#setRuns(runs)
    this.#startMerging()
  }

  lookup(id: string): Place | undefined | 'unsure' {
    if (this.#isClosed) throw logErrors.create('LOG_CLOSED')
    const key = this.#key
    key.set(id)
    const place = this.#findInMemory(key)
    if (place !== undefined) return place
    if (key.kind === ORDERED && compareTo(this.#orderedMax, 0, key) < 0) return undefined
    for (const run of this.#runs[key.kind] as readonly Run[]) {
      const answer = this.#search.find(run, key)
      if (answer === FOUND) return placeOf(this.#search.low, this.#search.high)
      if (answer !== NONE) return 'unsure'
    }
    return undefined
  }

  async lookupSlow(id: string): Promise<Place | undefined> {
    const place = this.lookup(id)
    if (place !== 'unsure') return place
    this.#slowLookups += 1
    if (this.#slow.running >= this.#slow.max) {
      await new Promise<void>(resolve => this.#slow.waiting.push(resolve))
    } else {
      this.#slow.running += 1
    }
    try {
      return await this.#findInRuns(id)
    } finally {
      const next = this.#slow.waiting.shift()
      if (next === undefined) this.#slow.running -= 1
      else next()
    }
  }

  insert(id: string, place: Place): void {
    if (this.#isClosed) throw logErrors.create('LOG_CLOSED')
    checkPlace(place)
    const key = this.#key
    key.set(id)
    this.#active.insert(key, lowWord(place), highWord(key.kind, place))
  }

  checkpoint(
    mark: number,
    options: { readonly force?: boolean; readonly durable?: Promise<unknown> } = {},
  ): Promise<void> {
    if (this.#isClosed) return Promise.reject(logErrors.create('LOG_CLOSED'))
    const isForced = options.force === true
    if (!isForced && !this.#isDue()) return DONE
    const end = this.#base + this.#active.count
    const { durable } = options
    durable?.catch(() => undefined)
    const turn = this.#turns.then(() => this.#handOver({ mark, end, durable, isForced }))
    this.#turns = turn.catch(() => undefined)
    return turn.then(flushing => (isForced ? flushing.done : undefined))
  }

  durableMark(): number {
    return this.#mark
  }

  stats(): ReturnType<DuplicateIndex['stats']> {
    const runs = this.#runs.flat()
    const pages = runs.reduce((sum, { facts }) => sum + facts.pages + 1 + facts.textPages, 0)
    const tables = [this.#active, this.#spare, this.#frozen?.table]
    const inTables = tables.reduce((sum, table) => sum + (table?.memoryBytes ?? 0), 0)
    const { memoryBytes: inCache } = this.#cache
    const inBuffers = this.#sorter.memoryBytes + this.#pool.memoryBytes
    return {
      ids: this.#inRuns + (this.#frozen?.count ?? 0) + this.#active.count,
      memoryBytes: inTables + inCache + inBuffers + runs.length * 1024,
      diskBytes: pages * PAGE_BYTES,
      runs: runs.length,
      slowLookups: this.#slowLookups,
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#turns
    // A writer that fails now has told the caller of `checkpoint`, or will be made up for by the log.
    await this.#flushing?.catch(() => undefined)
    await this.#merging
    await this.#installs
    await Promise.allSettled(this.#loads)
    for (const run of this.#runs.flat()) await closeRun(run)
  }

  #newTable(): MemoryTable {
    return new MemoryTable(this.#capacity, this.#tableKey)
  }

  #isDue(): boolean {
    return this.#active.count >= this.#due || this.#active.heapBytes >= this.#heapDue
  }

  #findInMemory(key: IdKey): Place | undefined {
    const found = placeIn(this.#active, key)
    if (found !== undefined || this.#frozen === undefined) return found
    return placeIn(this.#frozen.table, key)
  }

  async #findInRuns(id: string): Promise<Place | undefined> {
    const search = this.#search
    for (;;) {
      // Every round begins with the tables: an id may have moved from them into a run meanwhile.
      const place = this.lookup(id)
      if (place !== 'unsure') return place
      const version = this.#version
      const { kind } = this.#key
      let missing = { file: search.missingFile as PagedFile, page: search.missingPage }
      for (let index = 0; version === this.#version;) {
        await this.#load(missing.file, missing.page)
        if (version !== this.#version) break
        // Runs that answered are not asked again, so that a small cache suffices.
        this.#key.set(id)
        const run = (this.#runs[kind] as readonly Run[])[index]
        if (run === undefined) {
          const inserted = this.#findInMemory(this.#key)
          return inserted
        }
        const answer = search.find(run, this.#key)
        if (answer === FOUND) return placeOf(search.low, search.high)
        if (answer === NONE) index += 1
        else missing = { file: search.missingFile as PagedFile, page: search.missingPage }
      }
    }
  }

  async #load(file: PagedFile, page: number): Promise<void> {
    const load = this.#cache.load(file, page)
    this.#loads.add(load)
    try {
      await load
    } finally {
      this.#loads.delete(load)
    }
  }

  /** Freezes what was inserted up to `end` and starts to write it; resolves when new ids have room. */
  async #handOver(request: {
    mark: number
    end: number
    durable: Promise<unknown> | undefined
    isForced: boolean
  }): Promise<{ done: Promise<void> }> {
    if (this.#frozen !== undefined) await this.#flush()
    if (this.#runs.flat().length > RUNS_MAX) await this.#merging
    const count = Math.max(0, request.end - this.#base)
    if (!request.isForced && !this.#isDue()) return { done: DONE }
    if (count === 0 && request.mark <= this.#mark) return { done: DONE }
    const table = this.#active
    const fresh = this.#spare ?? this.#newTable()
    this.#spare = undefined
    fresh.insertFrom(table, count, this.#writerKey)
    this.#frozen = { table, count, mark: request.mark, durable: request.durable }
    this.#active = fresh
    this.#base += count
    const done = this.#flush()
    done.catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error)
      this.#logger.error('the index of event ids could not be written', { reason })
    })
    return { done }
  }

  /** Writes the frozen table, or joins in waiting for it. */
  #flush(): Promise<void> {
    this.#flushing ??= this.#writeFrozen().finally(() => (this.#flushing = undefined))
    return this.#flushing
  }

  async #writeFrozen(): Promise<void> {
    const frozen = this.#frozen as Frozen
    const added = await writeTable({
      table: frozen.table,
      count: frozen.count,
      key: this.#writerKey,
      sorter: this.#sorter,
      createWriter: kind => this.#createWriter(kind),
      breathe: () => this.#breathe(),
    })
    try {
      await frozen.durable
    } catch (error) {
      // What is left over is removed at the next open; the first error is what the caller needs.
      for (const run of added) await this.#discard(run).catch(() => undefined)
      throw error
    }
    await this.#install({ added, removed: [], mark: frozen.mark })
    this.#frozen = undefined
    frozen.table.clear(this.#capacity)
    this.#spare = frozen.table
    this.#startMerging()
  }

  #createWriter(kind: number): RunWriter {
    const number = this.#next
    this.#next += 1
    return new RunWriter({
      disk: this.#disk,
      directory: this.#directory,
      number,
      kind,
      pool: this.#pool,
    })
  }

  #breathe(): Promise<void> {
    return new Promise(resolve => this.#clock.soon(resolve))
  }

  /** Makes a change of the set of runs durable, then visible. One change after the other. */
  async #install(change: {
    added: readonly Run[]
    removed: readonly Run[]
    mark: number
  }): Promise<void> {
    const install = this.#installs.then(async () => {
      const kept = this.#runs.flat().filter(run => !change.removed.includes(run))
      const runs = [...kept, ...change.added]
      const mark = Math.max(this.#mark, change.mark)
      try {
        await this.#disk.syncDirectory(this.#directory)
        await writeManifest(this.#disk, this.#directory, {
          mark,
          next: this.#next,
          secret: this.#secret,
          runs: runs.map(run => run.facts),
        })
      } catch (error) {
        // The new manifest may have reached the disk: its files stay, the next open settles it.
        for (const run of change.added) await closeRun(run)
        throw error
      }
      this.#mark = mark
      this.#setRuns(runs)
    })
    this.#installs = install.catch(() => undefined)
    await install
  }

  #setRuns(runs: readonly Run[]): void {
    // New runs first: what is looked for again is most often young.
    const sorted = runs.toSorted((a, b) => b.facts.number - a.facts.number)
    this.#runs = [0, ...KINDS].map(kind => sorted.filter(run => run.facts.kind === kind))
    this.#version += 1
    this.#inRuns = runs.reduce((sum, run) => sum + run.facts.count, 0)
    this.#orderedMax.fill(0)
    for (const { range } of this.#runs[ORDERED] as readonly Run[]) {
      if (compareKeys(this.#orderedMax, 0, range, 4) < 0) this.#orderedMax.set(range.subarray(4, 8))
    }
  }

  #startMerging(): void {
    if (this.#merging !== undefined || this.#isClosed || this.#isMergeStopped) return
    this.#merging = this.#mergeAll()
      .catch((error: unknown) => {
        if (this.#isClosed) return
        this.#isMergeStopped = isError(error, 'LOG_DAMAGED')
        const reason = error instanceof Error ? error.message : String(error)
        this.#logger.error('runs of the index of event ids could not be merged', { reason })
      })
      .finally(() => (this.#merging = undefined))
  }

  async #mergeAll(): Promise<void> {
    for (;;) {
      await this.#breathe()
      const chosen = this.#chooseRuns()
      if (chosen.length === 0 || this.#isClosed) return
      await this.#merge(chosen)
    }
  }

  #chooseRuns(): readonly Run[] {
    for (const kind of KINDS) {
      const runs = this.#runs[kind] as readonly Run[]
      const chosen = chooseMerge(
        runs.map(run => run.facts),
        this.#due,
      )
      if (chosen.length > 0) return runs.filter(run => chosen.includes(run.facts))
    }
    return []
  }

  async #merge(runs: readonly Run[]): Promise<void> {
    const writer = this.#createWriter((runs[0] as Run).facts.kind)
    let merged: Run
    try {
      await writer.open()
      await mergeRuns({
        runs,
        writer,
        key: this.#mergeKey,
        goOn: this.#goOn,
        pool: this.#pool,
        breathe: async () => {
          await this.#breathe()
          if (this.#isClosed) throw logErrors.create('LOG_CLOSED')
        },
      })
      merged = await writer.finish()
    } catch (error) {
      await writer.abandon().catch(() => undefined)
      throw error
    }
    await this.#install({ added: [merged], removed: runs, mark: 0 })
    await Promise.allSettled(this.#loads)
    for (const run of runs) await this.#discard(run)
  }

  /** Closes a run that no manifest names and removes its files. */
  async #discard(run: Run): Promise<void> {
    await closeRun(run)
    this.#cache.forget(run.file)
    if (run.texts !== undefined) this.#cache.forget(run.texts)
    await this.#disk.remove(run.file.path)
    if (run.texts !== undefined) await this.#disk.remove(run.texts.path)
  }
}

function placeIn(table: MemoryTable, key: IdKey): Place | undefined {
  const at = table.find(key)
  if (at < 0) return undefined
  return placeOf(table.entries[at + 4] as number, table.entries[at + 5] as number)
}
