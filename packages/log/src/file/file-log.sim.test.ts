/** The real log on a simulated disk: processes die and the power fails; a planted fault is caught. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError, type Disk } from '@millrace/core'
import { simulate } from '@millrace/sim'
import { lives, noTrouble, overJournal, scenario } from '../testing/file-log-suite.ts'

scenario(
  import.meta.url,
  { name: 'processes die', seeds: 5 },
  { trouble: noTrouble, losesPower: false },
)
scenario(
  import.meta.url,
  { name: 'the power fails', seeds: 12 },
  { trouble: noTrouble, losesPower: true },
)

test('a log that acknowledges before the sync is caught', async () => {
  const plant = (disk: Disk): Disk => overJournal(disk, () => ({ sync: async () => undefined }))
  const hasty = simulate({
    name: 'planted',
    file: import.meta.url,
    environment: process.env,
    seeds: 20,
    scenario: world => lives(world, { trouble: noTrouble, losesPower: true, plant }),
  })
  await assert.rejects(hasty, error => isError(error, 'SIM_FAILED'))
})
