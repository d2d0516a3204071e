/**
 * The program that `file-log.crash.test.ts` kills: it appends without end and writes every
 * acknowledgement to its standard output, at once and unbuffered. Arguments: directory, first
 * number of its ids, and optionally a step at which it kills itself.
 */
import { writeSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { createIdSource, silentLogger, systemClock, systemRandom } from '@millrace/core'
import type { Disk, DiskFile } from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import type { EventLog, NewEvent } from '../log.ts'
import { createSplitThread, openFileLog } from './index.ts'
import { CRASH_OPTIONS, CRASH_STREAM, dataOf } from './crash-plan.ts'
import type { CrashStep } from './crash-plan.ts'

const WRITERS = 6
const BATCH_MAX = 20

const [directory = '', life = '0', stepText = ''] = process.argv.slice(2)
const step = stepText === '' ? undefined : (JSON.parse(stepText) as CrashStep)

const pause = new Int32Array(new SharedArrayBuffer(4))
let hits = 0

/** Ends this process, as a power switch would, when a call is the one of the step. */
function strike(when: 'before' | 'after', call: string, path: string, position = 0): void {
  if (step === undefined || step.when !== when || step.call !== call) return
  if (!new RegExp(step.path).test(path)) return
  if (step.position !== undefined && step.position !== position) return
  hits += 1
  if (hits >= step.nth) process.kill(process.pid, 'SIGKILL')
}

/** Runs a call, with the chance to die before and after it. */
async function around<T>(
  call: string,
  path: string,
  run: () => Promise<T>,
  position?: number,
): Promise<T> {
  strike('before', call, path, position)
  const result = await run()
  strike('after', call, path, position)
  return result
}

/** The paths of open files, which a rename changes. */
const named: { path: string }[] = []

function mortalFile(file: DiskFile, opened: string): DiskFile {
  const name = { path: opened }
  named.push(name)
  return {
    read: (...args) => file.read(...args),
    write: (...args) => around('write', name.path, () => file.write(...args), args[3]),
    sync: () => around('sync', name.path, () => file.sync()),
    // The steps name writes and syncs one by one; kills at random moments meet the one call.
    ...(step === undefined && file.writeThrough !== undefined
      ? { writeThrough: file.writeThrough.bind(file) }
      : {}),
    truncate: size => file.truncate(size),
    size: () => file.size(),
    close: () => file.close(),
  }
}

function mortal(disk: Disk): Disk {
  return {
    ...disk,
    open: async (path, mode) => mortalFile(await disk.open(path, mode), path),
    rename: async (from, to) => {
      await around('rename', to, () => disk.rename(from, to))
      for (const name of named) if (name.path === from) name.path = to
    },
    remove: path => around('remove', path, () => disk.remove(path)),
    syncDirectory: path => around('syncDirectory', path, () => disk.syncDirectory(path)),
  }
}

async function write(log: EventLog, writer: number, newId: () => string): Promise<never> {
  for (let count = 0; ; count++) {
    const size = 1 + Math.floor(systemRandom.next() * BATCH_MAX)
    const events: NewEvent[] = Array.from({ length: size }, (_, index) => {
      const id = newId()
      const key = `${life}-${writer}-${(count + index) % 7}`
      return {
        stream: CRASH_STREAM,
        type: 'clicked',
        key,
        id,
        eventTimeMs: count,
        data: dataOf(id),
      }
    })
    const { results } = await log.commit({ events })
    const lines = results.map((result, index) => {
      const place =
        result.status === 'conflict' ? result.code : `${result.partition} ${result.offset}`
      return `${(events[index] as NewEvent).id} ${result.status} ${place}\n`
    })
    say(lines.join(''))
  }
}

/** Writes all of it to standard output, which a thread makes non-blocking: a slow reader is waited for. */
function say(text: string): void {
  let rest = Buffer.from(text)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      Atomics.wait(pause, 0, 0, 1)
    }
  }
}

// Kills at random moments, and those between the split of a segment and its removal, meet the thread;
// the other steps are counted on this one, which does all of the work in the order of its calls.
const isThreaded = step === undefined || step.call === 'remove'
const log = await openFileLog({
  ...(isThreaded ? { splitWork: createSplitThread(directory) } : {}),
  disk: mortal(openNodeDisk(directory)),
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
  directory: 'log',
  options: CRASH_OPTIONS,
})
await log.declare([{ name: CRASH_STREAM, partitions: 4 }])
// Who is killed leaves nothing to the next one otherwise.
flushCompileCache()
const newId = createIdSource({ clock: systemClock, random: systemRandom })
await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(log, writer, newId)))
