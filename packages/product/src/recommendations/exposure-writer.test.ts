import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Logger } from '@millrace/core'
import { silentLogger } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { logErrors } from '@millrace/log'
import { createTestClock } from '../testing/open-product.ts'
import { EXPOSURES_WAITING_MAX, ExposureWriter } from './exposure-writer.ts'

const exposure = (number: number): Parameters<ExposureWriter['write']>[0] => ({
  key: 'p',
  answerId: `a${number}`,
  atMs: 0,
  definition: 'd',
  payload: Buffer.from('{}'),
})

function writer(commit: () => Promise<unknown>, logger: Logger = silentLogger): ExposureWriter {
  return new ExposureWriter({
    log: { commit } as unknown as EventLog,
    clock: createTestClock(0),
    logger,
  })
}

test('while the log does not answer, exposures wait up to a limit and are then dropped', async () => {
  let release: () => void = () => undefined
  const gate = new Promise<void>(resolve => {
    release = resolve
  })
  const exposures = writer(() => gate)
  for (let number = 0; number < EXPOSURES_WAITING_MAX + 100; number++) {
    exposures.write(exposure(number))
  }
  assert.equal(exposures.counters.waiting, EXPOSURES_WAITING_MAX)
  assert.equal(exposures.counters.dropped, 100)
  release()
  await exposures.flush()
  assert.deepEqual(
    { ...exposures.counters },
    { written: EXPOSURES_WAITING_MAX, dropped: 100, waiting: 0 },
  )
})

test('an overloaded log drops them, counted, and is told of once', async () => {
  let warnings = 0
  let isOverloaded = true
  const exposures = writer(
    async () => {
      if (isOverloaded) throw logErrors.create('LOG_OVERLOADED', { retryAfterMs: 5 })
    },
    { ...silentLogger, warn: () => void (warnings += 1) },
  )
  for (let turn = 0; turn < 3; turn++) {
    exposures.write(exposure(turn))
    await exposures.flush()
  }
  assert.equal(exposures.counters.dropped, 3)
  assert.equal(warnings, 1)
  isOverloaded = false
  exposures.write(exposure(4))
  await exposures.close()
  assert.equal(exposures.counters.written, 1)
  exposures.write(exposure(5))
  assert.equal(exposures.counters.dropped, 4)
})
