import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readWords } from './words.ts'

test('options have defaults, and what makes no sense is refused with the usage', () => {
  assert.deepEqual(readWords([]), { rate: 60, people: 600, port: undefined })
  const words = ['--rate', '200', '--people=9', '--port', '4400']
  assert.deepEqual(readWords(words), { rate: 200, people: 9, port: 4400 })
  for (const wrong of [
    ['--rate', '0'],
    ['--people', 'many'],
    ['--port', '70000'],
    ['--x'],
    ['y'],
  ]) {
    const read = readWords(wrong)
    assert.ok('problem' in read, wrong.join(' '))
    assert.match(read.problem, /Usage: npm start -- /)
  }
})
