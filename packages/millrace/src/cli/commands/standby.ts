/** `standby`: a copy of a data directory that follows its backups, to take over. */
import {
  followBackups,
  promoteStandby,
  raiseFence,
  readFence,
  standbyManifest,
  type Manifest,
} from '@millrace/log/backup'
import { isError } from '@millrace/core'
import { openNodeDisk } from '@millrace/log/disk'
import type { Command } from 'commander'
import { DATA_FORMAT, identityText, parseIdentity } from '../../wiring/identity.ts'
import { openObjectStore } from '../../wiring/objects.ts'
import type { CommandContext } from '../context.ts'
import { bytes, count, time } from '../output.ts'
import { duration } from '../progress.ts'
import type { Run } from '../run-command.ts'
import { durationOf, inLockedDirectory, openRestored, progressOf, summaryOf } from './backup.ts'

/** Registers `standby`. */
export function addStandby(program: Command, run: Run): void {
  const group = program
    .command('standby')
    .summary('follow the backups of a server, and take over from it')
    .description(
      'Keeps the data directory of --data at the newest backup of a place that the server ships to ' +
        'with `millrace backup --to <place> --every 5s`. What was not shipped is lost when it takes over.',
    )
  group
    .command('follow', { isDefault: true })
    .summary('follow; what `millrace standby` does')
    .requiredOption('--from <place>', 'where the server ships to')
    .option('--every <duration>', 'how often to look', '5s')
    .option('--once', 'look once')
    .action(run<[FollowOptions]>(follow))
  group
    .command('promote')
    .summary('make it a primary; the old one can no longer ship')
    .requiredOption('--from <place>', 'where the old primary ships to')
    .option('--offline', 'the place does not answer: take what is here, and raise no fence')
    .action(run<[{ from: string; offline?: boolean }]>(promote))
}

interface FollowOptions {
  readonly from: string
  readonly every: string
  readonly once?: boolean
}

async function follow(context: CommandContext, options: FollowOptions): Promise<void> {
  const { clock, random, data, output } = context
  const everyMs = durationOf('--every', options.every)
  const store = await openObjectStore(options.from, context)
  const stopped = context.stopped().then(() => true)
  await inLockedDirectory(data, async () => {
    for (;;) {
      const { onProgress, end } = progressOf(context, 'Following')
      try {
        const disk = openNodeDisk(data)
        const ports = { store, disk, clock, random, dataFormatMax: DATA_FORMAT, onProgress }
        const state = await followBackups(ports)
        end()
        if (state === undefined) output.note(`${store.place} holds no backup yet.`)
        else if (state.fetchedBytes > 0 || options.once === true) {
          output.item(...shown(state.manifest, state.fetchedBytes, clock.nowMs()))
        }
      } catch (error) {
        end()
        if (options.once === true || !isError(error) || !error.retryable) throw error
        output.note(`${error.message} ${error.remedy}`)
      }
      if (options.once === true) return
      const pause = new Promise<boolean>(done => clock.after(everyMs, () => done(false)))
      if (await Promise.race([stopped, pause])) return
    }
  })
}

function shown(
  manifest: Manifest,
  fetchedBytes: number,
  nowMs: number,
): [json: unknown, text: string] {
  const summary = summaryOf(manifest)
  const lagMs = Math.max(0, nowMs - manifest.takenMs)
  const text =
    `At backup ${manifest.id}: ${count(summary['records'] as number)} records, ` +
    `as of ${time(manifest.takenMs)}, ${duration(lagMs / 1000)} behind; fetched ${bytes(fetchedBytes)}.`
  return [{ ...summary, lagMs, fetchedBytes }, text]
}

async function promote(
  context: CommandContext,
  { from, offline = false }: { readonly from: string; readonly offline?: boolean },
): Promise<void> {
  const { clock, random, data } = context
  const disk = openNodeDisk(data)
  const { onProgress, end } = progressOf(context, 'Following')
  const promoted = await inLockedDirectory(data, async () => {
    let term = ((await standbyManifest(disk))?.term ?? 0) + 1
    if (!offline) {
      const store = await openObjectStore(from, context)
      // Before the last look: what is shipped behind it would be lost without a word.
      term = Math.max(term, (await readFence(store)) + 1)
      await raiseFence(store, term)
      if (!(await isPromoting(disk))) {
        const ports = { store, disk, clock, random, dataFormatMax: DATA_FORMAT, onProgress }
        await followBackups(ports)
      }
    }
    const manifest = await promoteStandby({ disk }, text =>
      identityText({ ...parseIdentity('the identity of the standby', text), term }),
    )
    return { manifest, term }
  }).finally(end)
  const { manifest, term } = promoted
  await openRestored(context, data, 'promoteStandby', { backup: manifest.id, term: String(term) })
  const summary = summaryOf(manifest)
  const text =
    `${data} is a primary now, of term ${term}, with ${count(summary['records'] as number)} records ` +
    `as of ${time(manifest.takenMs)}. Start it with: millrace start --data ${data}`
  context.output.result({ directory: data, ...summary, term }, text)
}

/** True when an earlier promotion died while it moved files into place. */
async function isPromoting(disk: ReturnType<typeof openNodeDisk>): Promise<boolean> {
  return (await disk.sizeOf('restoring/complete')) !== undefined
}
