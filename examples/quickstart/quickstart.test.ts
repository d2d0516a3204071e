import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

test('the example of the README runs and recommends what Ana has not seen', async () => {
  const file = fileURLToPath(new URL('./use.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [file])
  const [plays, ...slots] = stdout.trim().split('\n')
  assert.equal(plays, 'plays of c1: 2')
  assert.deepEqual(slots.map(line => line.split(' | ')[0]).sort(), ['Bread', 'Tides'])
  const tides = slots.find(line => line.startsWith('Tides'))
  assert.match(tides ?? '', /because you watched Knots|similar to Knots/)
})
