/**
 * A process that takes events, rebuilds a view on threads, switches and goes back, until it is killed at
 * a step: `node rebuild-crash-worker.ts <data directory> <first event> <step>`. Begins with a look at what
 * the one before left; then writes for each batch that was acknowledged the number of events.
 */
import assert from 'node:assert/strict'
import { flushCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isError, silentLogger, systemClock } from '@millrace/core'
import { openMillrace } from '../millrace.ts'
import { dieAt } from './dying.ts'
import { nextApp } from './posts.ts'
import { REBUILD_STEPS } from './rebuild-steps.ts'
import { assertServed, commentsFrom, FOLD } from './rebuilt.ts'

const [data = '', first = '0', name = ''] = process.argv.slice(2)
const appFile = fileURLToPath(new URL('./next-posts.ts', import.meta.url))
const millrace = await openMillrace({ app: nextApp, appFile, data, logger: silentLogger })
await assertServed(millrace)
assert.deepEqual((await millrace.streams.rebuild({ fold: FOLD })).different, [])
// Who is killed leaves nothing to the next one otherwise.
flushCompileCache()
const { rebuilds } = millrace.streams
/** Leaves the processor to the thread that builds. */
const rest = (ms = 5): Promise<void> => new Promise(resolve => systemClock.after(ms, resolve))
/** Events that are sent as fast as they are taken; then fewer come, or a fast machine would never have built them all. */
const FLOOD = 2_000

async function send(): Promise<never> {
  for (let number = Number(first); ;) {
    const events = commentsFrom(number)
    await millrace.trackMany(events)
    number += events.length
    process.stdout.write(`${number}\n`)
    await rest(number < Number(first) + FLOOD ? 5 : 100)
  }
}

/** The one that was killed has its build until the others no longer take it for alive. */
async function start(): Promise<void> {
  for (;;) {
    try {
      await rebuilds.start({ fold: FOLD, maxDifferences: Number.MAX_SAFE_INTEGER })
      return
    } catch (error) {
      if (!isError(error, 'REBUILD_ELSEWHERE')) throw error
      await rest()
    }
  }
}

async function rebuild(): Promise<never> {
  for (;;) {
    await start()
    if (step === undefined) {
      const isBegun = (): boolean => rebuilds.status(FOLD).folded > 0 || rebuilds.status(FOLD).state !== 'building' // prettier-ignore
      while (!isBegun()) await rest(1)
      process.kill(process.pid, 'SIGKILL')
    }
    const { error } = await rebuilds.settled(FOLD)
    if (error !== undefined) throw new Error(error.message)
    await rebuilds.back(FOLD)
    await rebuilds.drop(FOLD)
  }
}

const step = REBUILD_STEPS[name]
if (step !== undefined) dieAt(millrace, step)
await Promise.all([send(), rebuild()])
