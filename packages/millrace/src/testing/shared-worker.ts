/**
 * One of two servers over one PostgreSQL, which is told in lines when to die, and to tell what all
 * folds say: `node shared-worker.ts <data directory>`. Prints its address as JSON first.
 */
import { flushCompileCache } from 'node:module'
import { createInterface } from 'node:readline'
import { foregroundClock } from '@millrace/core'
import { openForTest } from './clips.ts'
import { dieAt, hashesOf, settled, unlikeOf } from './dying.ts'
import { IDENTITY_STEPS } from './identity-steps.ts'
import { isFlowing } from './shared.ts'
import { UNDO_STEPS, type UndoStep } from './undo-steps.ts'

const [data = ''] = process.argv.slice(2)
// Waiting for the lease of a process that was killed must not end this one.
const millrace = await openForTest({ data, clock: foregroundClock })
const { url } = await millrace.listen()
const { uncarried, carried, unwritten, written } = IDENTITY_STEPS.merge
const steps: Readonly<Record<string, UndoStep | undefined>> = {
  ...UNDO_STEPS,
  uncarried,
  carried,
  undecided: unwritten,
  decided: written,
}

const told: Readonly<Record<string, () => Promise<void>>> = {
  async tell() {
    const unlike = await unlikeOf(millrace)
    await settled(millrace)
    // From here on in one go: what is said of the folds is of the positions that are said.
    const folds = millrace.streams.status().map(({ name, position }) => [name, [...position]])
    const ends = [folds, millrace.log.ends().get('streams.corrections/0') ?? 0]
    const still = hashesOf(millrace, key => !isFlowing(key))
    process.stdout.write(`${JSON.stringify({ unlike, ends, hashes: hashesOf(millrace), still })}\n`)
  },
  async close() {
    await millrace.close()
    process.exit(0)
  },
}

createInterface({ input: process.stdin }).on('line', line => {
  const step = steps[line]
  if (step === undefined) void told[line]?.()
  else dieAt(millrace, step)
})
process.stdin.on('close', () => process.exit(1))
process.stdout.write(`${JSON.stringify({ url })}\n`)
// Who is killed leaves nothing to the next one otherwise.
flushCompileCache()
