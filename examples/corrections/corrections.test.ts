import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

test('the example of docs/corrections.md runs and prints what is shown there', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [fileOf('./use.ts')])
  assert.equal(stdout, readFileSync(fileOf('./output.txt'), 'utf8'))
})
