/**
 * A process that goes on with a merge or a split in which the one before it was killed, tells what all
 * folds say then, and begins the next one, in which it is killed:
 * `node identity-crash-worker.ts <data directory> <who the visitor is> <verb> <step>`.
 */
import { flushCompileCache } from 'node:module'
import { foregroundClock } from '@millrace/core'
import type { Identity } from '@millrace/product'
import { openForTest } from './clips.ts'
import { dieAt, settled, tell } from './dying.ts'
import { IDENTITY_STEPS } from './identity-steps.ts'

const [data = '', person = '', verb = '', name = ''] = process.argv.slice(2)
const millrace = await openForTest({ data, clock: foregroundClock })
const identity = millrace.module<Identity>('identity')

const act = (what: string): Promise<unknown> =>
  what === 'merge'
    ? identity.merge('visitor', 'ana', { by: 'a test' })
    : identity.split('visitor', { by: 'a test' })

// Who was killed before it was decided sends it again.
if (identity.show('visitor').person !== person) await act(person === 'ana' ? 'merge' : 'split')
await settled(millrace)
await tell(millrace)
flushCompileCache()
const step = IDENTITY_STEPS[verb as 'merge']?.[name]
if (step !== undefined) {
  dieAt(millrace, step)
  await act(verb)
  await settled(millrace)
}
await millrace.close()
