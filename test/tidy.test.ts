/** The house rules that no tool knows, over the whole repository; every finding says where and what. */
import assert from 'node:assert/strict'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { houseRules, withoutExceptions } from '../scripts/tidy/house-rules.ts'
import { readSources, type Finding } from '../scripts/tidy/sources.ts'

const files = readSources(dirname(import.meta.dirname))
const found = new Map(Object.entries(houseRules).map(([title, find]) => [title, find(files)]))
const faults = new Set<Finding>(withoutExceptions([...found.values()].flat()))

for (const [title, findings] of found) {
  test(title, () => {
    assertNone(findings.filter(finding => faults.has(finding)))
  })
}

test('every exception is needed', () => {
  assertNone([...faults].filter(({ rule }) => rule === 'exceptions'))
})

function assertNone(findings: readonly Finding[]): void {
  const lines = findings.map(({ rule, place, message }) => `${place}: ${message} [${rule}]`)
  assert.equal(lines.length, 0, `${lines.length} findings:\n${lines.join('\n')}`)
}
