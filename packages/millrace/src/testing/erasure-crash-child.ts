/**
 * A process that erases ana and kills itself at a call of the disk that changes anything:
 * `node erasure-crash-child.ts <data directory> <which call>`. It exits with 0 when the erasure has
 * ended before that.
 */
import * as fs from 'node:fs'
import { createRequire, flushCompileCache, syncBuiltinESMExports } from 'node:module'
import { silentLogger } from '@millrace/core'
import type { Erasures } from '@millrace/product'
import { openMillrace } from '../millrace.ts'
import { lettersApp } from './letters.ts'

const [data = '', nth] = process.argv.slice(2)
const CHANGES = ['write', 'fdatasync', 'fsync', 'ftruncate', 'rename', 'rm', 'open'] as const

let left = Infinity
const mutable = createRequire(import.meta.url)('node:fs') as Record<string, unknown>
for (const name of CHANGES) {
  const real = fs[name] as (...given: unknown[]) => void
  mutable[name] = (...given: unknown[]): void => {
    left -= 1
    if (left <= 0) process.kill(process.pid, 'SIGKILL')
    real(...given)
  }
}
syncBuiltinESMExports()

const millrace = await openMillrace({ app: lettersApp, data, logger: silentLogger })
const erasures = millrace.module<Erasures>('erasure')
// Who is killed leaves nothing to the next one otherwise.
flushCompileCache()
left = Number(nth)
const { erasure } = await erasures.begin({ people: ['ana'], reason: 'a test', by: 'test' })
await erasures.ended(erasure)
left = Infinity
await millrace.close()
