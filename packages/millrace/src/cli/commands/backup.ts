/** `backup`, `restore` and `standby`. */
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { createIdSource, decodePosition, durationMs, isError, type Duration } from '@millrace/core'
import {
  listBackups,
  pruneBackups,
  readManifest,
  restoreBackup,
  takeBackup,
  verifyBackups,
  type Manifest,
  type OnProgress,
  type RestorePoint,
} from '@millrace/log/backup'
import { openNodeDisk } from '@millrace/log/disk'
import { lockDirectory } from '@millrace/log'
import type { ObjectStore } from '@millrace/log/objects'
import type { Command } from 'commander'
import { recordAct } from '../../http/security/audit.ts'
import { readTimeText } from '../../import/index.ts'
import { openForReading } from '../../wiring/backends.ts'
import { DATA_FORMAT } from '../../wiring/identity.ts'
import { openObjectStore } from '../../wiring/objects.ts'
import { withSource } from '../backup-source.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { EXIT_REFUSED } from '../exit-codes.ts'
import { bytes, count, table, time } from '../output.ts'
import { createProgress } from '../progress.ts'
import type { Run } from '../run-command.ts'
import { readCount } from './log.ts'

const PLACE = 'a folder, or s3://bucket/folder'
const MIB = 1024 * 1024

/** Registers `backup` and `restore`. */
export function addBackup(program: Command, run: Run): void {
  const group = program
    .command('backup')
    .summary('copy the log while it runs; list, verify and prune backups')
    .description(
      'Copies what the store lacks of the data directory, also while its server runs, on the same ' +
        'machine. S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL.',
    )
  group
    .command('take', { isDefault: true })
    .summary('take a backup; what `millrace backup` does')
    .requiredOption('--to <place>', PLACE)
    .option('--without-snapshots', 'leave out the state of folds: smaller, and slower to restore')
    .option('--rate <MiB>', 'MiB a second to read at most; 0 for no limit', '32')
    .option('--every <duration>', 'go on until Ctrl+C, with a backup so often')
    .option('--keep <count>', 'after each backup, keep so many and remove the others')
    .action(run<[TakeOptions]>(take))
  group
    .command('list')
    .summary('the backups of a place')
    .requiredOption('--from <place>', PLACE)
    .action(run<[FromOptions]>(list))
  group
    .command('verify')
    .summary('read every byte of the backups, as a restore would')
    .requiredOption('--from <place>', PLACE)
    .option('--backup <id>', 'only this one')
    .action(run<[FromOptions]>(verify))
  group
    .command('prune')
    .summary('remove old backups')
    .requiredOption('--from <place>', PLACE)
    .requiredOption('--keep <count>', 'how many of the newest stay')
    .action(run<[FromOptions & { keep: string }]>(prune))
  program
    .command('restore')
    .summary('make a data directory from a backup, as of any moment')
    .description(
      'Restores into an empty folder. --at is a time (everything that the log took up to it), or a ' +
        'position as answers give it (the first moment at which the log had reached it).',
    )
    .requiredOption('--from <place>', PLACE)
    .option('--to <folder>', 'the new data directory; default: that of --data')
    .option('--at <moment>', 'a time or a position; default: all that the newest backup holds')
    .option('--backup <id>', 'from this backup; default: the oldest that holds the moment')
    .action(run<[RestoreOptions]>(restore))
}

interface TakeOptions {
  readonly to: string
  readonly withoutSnapshots?: boolean
  readonly rate: string
  readonly every?: string
  readonly keep?: string
}

interface FromOptions {
  readonly from: string
  readonly backup?: string
}

interface RestoreOptions extends FromOptions {
  readonly to?: string
  readonly at?: string
}

async function take(context: CommandContext, options: TakeOptions): Promise<void> {
  const store = await openObjectStore(options.to, context)
  const { every } = options
  if (every === undefined) {
    const { json, text } = await takeOne(context, store, options)
    context.output.result(json, text)
    return
  }
  const everyMs = durationOf('--every', every)
  const stopped = context.stopped().then(() => true)
  for (;;) {
    try {
      const { json, text } = await takeOne(context, store, options)
      context.output.item(json, text)
    } catch (error) {
      // What passes is tried again at the next turn: shipping goes on when the server is back.
      if (!isError(error) || !error.retryable) throw error
      context.output.note(`${error.message} ${error.remedy}`)
    }
    const pause = new Promise<boolean>(done => context.clock.after(everyMs, () => done(false)))
    if (await Promise.race([stopped, pause])) return
  }
}

async function takeOne(
  context: CommandContext,
  store: ObjectStore,
  { withoutSnapshots = false, rate, keep }: TakeOptions,
): Promise<{ json: unknown; text: string }> {
  const { clock, random } = context
  const startMs = clock.monotonicMs()
  const { onProgress, end } = progressOf(context, 'Backing up')
  const { manifest, sentBytes, sentChunks, ...all } = await withSource(context, source => {
    const beside = source.beside.filter(path => !withoutSnapshots || !path.startsWith('snapshots/'))
    const bytesPerSecond = readCount('--rate', rate) * MIB
    return takeBackup({ store, clock, random, ...source, beside, bytesPerSecond, onProgress })
  }).finally(end)
  const pruned =
    keep === undefined ? undefined : await pruneBackups({ store, clock, random }, readCount('--keep', keep)) // prettier-ignore
  const seconds = (clock.monotonicMs() - startMs) / 1000
  const json = {
    ...summaryOf(manifest),
    place: store.place,
    bytes: all.bytes,
    sentBytes,
    sentChunks,
    seconds,
    ...(pruned === undefined ? {} : { pruned: pruned.removed }),
  }
  const text = [
    `Backup ${manifest.id} at ${store.place}: ${count(recordsOf(manifest))} records.`,
    `Sent ${bytes(sentBytes)} of ${bytes(all.bytes)}; the rest was there.`,
    ...(pruned === undefined ? [] : [`Removed ${pruned.removed.length} older backups.`]),
  ]
  return { json, text: text.join('\n') }
}

async function list(context: CommandContext, { from }: FromOptions): Promise<void> {
  const store = await openObjectStore(from, context)
  const found: Manifest[] = []
  for (const id of await listBackups(store)) found.push(await readManifest(store, id))
  const rows = found.map(manifest => [
    manifest.id,
    time(manifest.takenMs),
    count(recordsOf(manifest)),
    bytes(manifest.files.reduce((sum, file) => sum + file.bytes, 0)),
  ])
  const heading = ['backup', 'taken', 'records', 'bytes']
  const text =
    rows.length === 0
      ? `${store.place} holds no backup.`
      : table([heading, ...rows], context.output.terminal.columns)
  context.output.result({ backups: found.map(summaryOf) }, text)
}

async function verify(context: CommandContext, { from, backup }: FromOptions): Promise<void> {
  const store = await openObjectStore(from, context)
  const { onProgress, end } = progressOf(context, 'Verifying')
  const only = backup === undefined ? {} : { backups: [backup] }
  const result = await verifyBackups(store, { ...only, onProgress }).finally(end)
  if (result.backups.length === 0) {
    const reason = `${store.place} holds no backup.`
    throw cliErrors.create('CLI_REFUSED', { reason, next: 'Check the place.', code: 'BACKUP_NONE' })
  }
  const { faults } = result
  const read = `${count(result.objects)} objects, ${bytes(result.bytes)}`
  if (faults.length > 0) context.exitWith(EXIT_REFUSED)
  const text =
    faults.length === 0
      ? `${result.backups.length} backups can be restored: ${read}, ${count(result.records)} records in the newest.`
      : faults.map(fault => `${fault.backup}  ${fault.file ?? ''}  ${fault.reason}`).join('\n')
  context.output.result({ isWhole: faults.length === 0, ...result }, text)
}

async function prune(
  context: CommandContext,
  { from, keep }: FromOptions & { keep: string },
): Promise<void> {
  const { clock, random } = context
  const store = await openObjectStore(from, context)
  const result = await pruneBackups({ store, clock, random }, readCount('--keep', keep))
  const freed = `${count(result.removedObjects)} objects, ${bytes(result.removedBytes)}`
  const text = `Kept ${result.kept.length} backups, removed ${result.removed.length}: ${freed}.`
  context.output.result(result, text)
}

async function restore(context: CommandContext, options: RestoreOptions): Promise<void> {
  const { clock, random, cwd } = context
  const store = await openObjectStore(options.from, context)
  const directory = options.to === undefined ? context.data : resolve(cwd, options.to)
  const point = options.at === undefined ? undefined : pointOf(options.at)
  const { onProgress, end } = progressOf(context, 'Restoring')
  const restored = await inLockedDirectory(directory, async () => {
    const disk = openNodeDisk(directory)
    const wanted = {
      ...(point === undefined ? {} : { point }),
      ...(options.backup === undefined ? {} : { backup: options.backup }),
    }
    const ports = { store, disk, clock, random, dataFormatMax: DATA_FORMAT, onProgress }
    return restoreBackup(ports, wanted)
  }).finally(end)
  await openRestored(context, directory, 'restoreBackup', {
    backup: restored.manifest.id,
    at: options.at ?? 'the end',
  })
  const { manifest, position, ingestTimeMs, isCut } = restored
  const records = [...position.values()].reduce((sum, end_) => sum + end_, 0)
  const json = {
    directory,
    backup: manifest.id,
    isCut,
    records,
    ingestTimeMs: Number.isFinite(ingestTimeMs) ? ingestTimeMs : null,
    ends: Object.fromEntries(position),
  }
  const newest = Number.isFinite(ingestTimeMs) ? `, the newest of ${time(ingestTimeMs)}` : ''
  const text = `Restored ${count(records)} records to ${directory} from backup ${manifest.id}${newest}.`
  context.output.result(json, text)
}

/** Opens what was restored, which proves that it can be, and records what was done there. */
export async function openRestored(
  context: CommandContext,
  data: string,
  operation: string,
  params: Readonly<Record<string, string>>,
): Promise<void> {
  const { clock, random } = context
  const opened = await openForReading({ data, clock, random })
  try {
    const newId = createIdSource({ clock, random })
    await recordAct({ log: opened.log, clock, newId }, operation, params, async () => undefined)
  } finally {
    await opened.close()
  }
}

/** Runs `work` while the directory is ours. */
export async function inLockedDirectory<T>(directory: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const lock = lockDirectory(directory)
  try {
    return await work()
  } finally {
    lock.release()
  }
}

function pointOf(text: string): RestorePoint {
  if (text.startsWith('p1.')) return { kind: 'position', position: decodePosition(text) }
  const timeMs = readTimeText(text, /^\d+$/.test(text) ? 'ms' : 'iso')
  if (timeMs !== undefined) return { kind: 'time', timeMs }
  throw cliErrors.create('CLI_USAGE', {
    reason: `--at ${text} is neither a time nor a position.`,
    next: 'Use 2026-01-05T10:00:00Z, milliseconds since 1970, or a position such as answers carry.',
  })
}

/** A duration that an option gives. Throws CLI_USAGE. */
export function durationOf(option: string, text: string): number {
  try {
    return durationMs(text as Duration)
  } catch {
    const next = 'Use a number and a unit: 500ms, 5s, 10m, 1h.'
    throw cliErrors.create('CLI_USAGE', { reason: `${option} ${text} is no duration.`, next })
  }
}

/** A backup in a few figures. */
export function summaryOf(manifest: Manifest): Readonly<Record<string, unknown>> {
  const { id, takenMs, parent, app, term, unit, ingestTimeMs, position } = manifest
  return {
    id,
    takenMs,
    parent,
    app,
    term,
    unit,
    ingestTimeMs: Number.isFinite(ingestTimeMs) ? ingestTimeMs : null,
    records: recordsOf(manifest),
    ends: Object.fromEntries(position),
  }
}

function recordsOf({ position }: Manifest): number {
  return [...position.values()].reduce((sum, end) => sum + end, 0)
}

/** Shows how far a copy has come. */
export function progressOf(
  context: CommandContext,
  title: string,
): { onProgress: OnProgress; end: () => void } {
  const progress = createProgress(context.output, context.clock)
  progress.begin(title, 'bytes')
  return {
    onProgress: ({ done, total }) => progress.update(done, total),
    end: () => progress.end(),
  }
}
