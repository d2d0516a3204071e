import assert from 'node:assert/strict'
import { test } from 'node:test'
import { detectTimeFormat, readTimeText, type TimeFormat } from './time.ts'

const cases: [string, TimeFormat, string][] = [
  ['956703932', 's', '2000-04-25T23:05:32.000Z'],
  ['964982703.25', 's', '2000-07-30T18:45:03.250Z'],
  ['956703932123', 'ms', '2000-04-25T23:05:32.123Z'],
  ['956703932123456', 'us', '2000-04-25T23:05:32.123Z'],
  ['2017-01-18T20:58:58Z', 'iso', '2017-01-18T20:58:58.000Z'],
  ['2017-01-18', 'iso', '2017-01-18T00:00:00.000Z'],
  ['2017-01-18 20:58', 'iso', '2017-01-18T20:58:00.000Z'],
  ['2017-01-18 20:58:58.1239 +02:00', 'iso', '2017-01-18T18:58:58.123Z'],
  ['2017-01-18T20:58:58-0330', 'iso', '2017-01-19T00:28:58.000Z'],
  ['11/13/2019 12:14:46 AM', 'mdy', '2019-11-13T00:14:46.000Z'],
  ['11/13/2019 12:14:46 PM', 'mdy', '2019-11-13T12:14:46.000Z'],
  ['31.12.2019, 23:59', 'dmy', '2019-12-31T23:59:00.000Z'],
]

for (const [text, format, expected] of cases) {
  test(`${text} is ${expected}`, () => {
    assert.deepEqual(detectTimeFormat([text]), { format })
    assert.equal(new Date(readTimeText(text, format) ?? Number.NaN).toISOString(), expected)
  })
}

test('what the calendar does not have, and what does not fit, is refused', () => {
  const wrong: [string, TimeFormat][] = [
    ['2017-02-30', 'iso'],
    ['2017-13-01', 'iso'],
    ['2017-01-01T24:00:00Z', 'iso'],
    ['31/11/2019', 'dmy'],
    ['1/2/2019 13:00 PM', 'mdy'],
    ['-5', 's'],
    ['1e9', 's'],
    ['9999999999999', 's'],
    ['', 's'],
    ['1950-01-01', 'iso'],
  ]
  for (const [text, format] of wrong) assert.equal(readTimeText(text, format), undefined, text)
})

test('a column is judged by the most of its values', () => {
  assert.deepEqual(detectTimeFormat(['', '956703932', 'never', '956703999']), { format: 's' })
  assert.deepEqual(detectTimeFormat(['1/2/2019', '3/14/2019']), { format: 'mdy' })
  assert.deepEqual(detectTimeFormat(['1/2/2019', '14/3/2019']), { format: 'dmy' })
})

test('what may mean two things is not judged', () => {
  assert.match(reason(['1/2/2019', '3/4/2019']), /day or with the month/)
  assert.match(reason(['14/3/2019', '3/14/2019']), /day or with the month/)
  assert.match(reason(['yesterday']), /no time that is known/)
  assert.match(reason(['', ' ']), /empty/)
})

function reason(samples: string[]): string {
  const detected = detectTimeFormat(samples)
  return 'reason' in detected ? detected.reason : ''
}
