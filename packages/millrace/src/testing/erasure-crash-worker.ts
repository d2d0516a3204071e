/**
 * A process that ends the erasure in which the one before it was killed, tells what all folds say, and
 * begins the next one, in which it is killed:
 * `node erasure-crash-worker.ts <data directory> <person erased before> <person> <step>`.
 */
import type * as fs from 'node:fs'
import { createRequire, flushCompileCache, syncBuiltinESMExports } from 'node:module'
import type { Erasures } from '@millrace/product'
import { isDiskStep, watchDisk } from './disk-steps.ts'
import { dieAt, tell } from './dying.ts'
import { ERASURE_STEPS } from './erasure-steps.ts'
import { keyIn, openLetters } from './letters.ts'

const [data = '', before = '', person = '', name = ''] = process.argv.slice(2)
const disk = watchDisk(createRequire(import.meta.url)('node:fs') as typeof fs)
syncBuiltinESMExports()

const millrace = await openLetters(data)
const erasures = millrace.module<Erasures>('erasure')
const erase = async (who: string): Promise<void> => {
  const { erasure } = await erasures.begin({ people: [who], reason: 'a test', by: 'test' })
  await erasures.ended(erasure)
}
// Who was killed before it was decided asks again.
if (before !== 'nobody') await erase(before)
const key = await keyIn(data, person)
await tell(millrace, { key: key === undefined ? '' : Buffer.from(key).toString('hex') })
flushCompileCache()
const step = ERASURE_STEPS[name]
if (step !== undefined) dieAt(millrace, step)
else if (isDiskStep(name)) disk.dieAt(name)
if (name !== 'none') await erase(person)
await millrace.close()
