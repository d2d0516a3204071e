/** The faults that `planted.int.test.ts` plants still have their places in the code. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { databaseFault, faults } from './planted/faults.ts'

test('every planted fault has its place exactly once', () => {
  for (const { name, file, find, replace } of [...faults, databaseFault]) {
    const source = readFileSync(join(dirname(import.meta.dirname), file), 'utf8')
    assert.equal(source.split(find).length - 1, 1, `${name}: ${file} has to hold once: ${find}`)
    assert.notEqual(find, replace)
  }
})
