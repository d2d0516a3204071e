import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** Lines without what exploration may change: their order, the chances, and that it says so. */
const settled = (output: string): string[] =>
  output
    .trim()
    .split('\n')
    .map(line => line.replace(/ \| chance [\d.]+$/, '').replace('exploration, ', ''))
    .toSorted()

test('the example of the README runs and prints what is shown there', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [fileOf('./use.ts')])
  assert.deepEqual(settled(stdout), settled(readFileSync(fileOf('./output.txt'), 'utf8')))
  assert.match(stdout, /^plays of c1: 2\n/)
})
