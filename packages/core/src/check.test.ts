import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineApp } from './app.ts'
import { compileCheck } from './check-rules.ts'
import { check, type CheckDefinition } from './check.ts'
import { event, item } from './definition.ts'
import { isError } from './errors.ts'
import { bool, float, id, int, oneOf, text } from './schema.ts'

const Clip = item('clip', { title: text() })
const Other = item('other', { title: text() })
const paid = event(
  'paid',
  {
    buyer: id('person'),
    clip: id('clip'),
    cents: int({ min: 0, max: 10_000 }),
    rate: float().optional(),
    note: text().optional(),
    name: text().personal(),
    tags: text().many(),
    device: oneOf('tv', 'web'),
    isGift: bool().optional(),
  },
  { key: 'buyer' },
)
const unknown = event('unknown', { buyer: id('person') }, { key: 'buyer' })

const event0 = { buyer: 'ana', clip: 'c1', cents: 5, name: 'Ana', tags: ['a'], device: 'tv' }
const known = (_kind: string, of: string): boolean => of === 'c1'

function define(made: CheckDefinition): unknown {
  return defineApp({ name: 'app', items: [Clip], events: [paid], checks: { it: made } })
}

/** A check as JavaScript could have it. */
function odd(options: Readonly<Record<string, unknown>>): CheckDefinition {
  return check({ of: paid, ...options } as never)
}

function refusal(made: CheckDefinition): string {
  try {
    define(made)
  } catch (error) {
    assert.ok(isError(error, 'DEFINITION_INVALID'))
    return `${String(error.details['path'])}: ${String(error.details['reason'])}`
  }
  return 'taken'
}

test('what cannot be judged is refused with its place and what to do', () => {
  const range = { range: { min: 1 } }
  const refused: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
    [{ of: unknown, field: 'buyer', expect: { length: { max: 3 } } }, /checks\.it\.of: event unknown is not among/], // prettier-ignore
    [
      { field: 'foo', expect: range },
      /checks\.it\.field: paid has no field foo; it has buyer, clip/,
    ],
    [{ field: 'cents', expect: range, severity: 'drop' }, /severity: it is warn, quarantine or refuse/], // prettier-ignore
    [{ field: 'cents', expect: {} }, /expect: it has one rule, and here are 0/],
    [{ field: 'cents', expect: { range: { min: 1 }, present: true } }, /here are 2/],
    [{ field: 'cents', expect: { between: [1, 2] } }, /expect\.between: there is no such rule; there are present, type/], // prettier-ignore
    [{ expect: range }, /field: the rule range is of a field; name one/],
    [{ field: 'cents', expect: { that: () => true } }, /field: the rule that is of the event as a whole/], // prettier-ignore
    [{ field: 'note', expect: range }, /range: note is string, and integer or number is needed/],
    [{ field: 'cents', expect: { range: {} } }, /range: it has neither min nor max/],
    [{ field: 'cents', expect: { range: { min: 5, max: 1 } } }, /min 5 is above max 1: nothing would fit/], // prettier-ignore
    [{ field: 'cents', expect: { range: { max: -1 } } }, /range\.max: the field begins at 0: nothing/], // prettier-ignore
    [{ field: 'cents', expect: { range: { min: 20_000 } } }, /range\.min: the field ends at 10000/],
    [{ field: 'cents', expect: { range: { min: Number.NaN } } }, /range\.min: it is not a finite/],
    [{ field: 'tags', expect: { length: { min: -1 } } }, /length\.min: -1 is not from 0 to/],
    [{ field: 'cents', expect: { oneOf: ['1'] } }, /oneOf\[0\]: it is string, and the field is integer/], // prettier-ignore
    [{ field: 'device', expect: { oneOf: ['tv', 'radio'] } }, /oneOf\[1\]: the field has no value "radio"; it has tv, web/], // prettier-ignore
    [{ field: 'note', expect: { oneOf: [] } }, /use a list of 1 to/],
    [{ field: 'isGift', expect: { oneOf: [1] } }, /isGift is boolean, and integer or number or string/], // prettier-ignore
    [{ field: 'note', expect: { pattern: 'a' } }, /not a regular expression/],
    [{ field: 'note', expect: { pattern: /a/g } }, /the flags g and y/],
    [{ field: 'note', expect: { type: 'colour' } }, /it is one of integer, number, date/],
    [{ field: 'cents', expect: { present: true } }, /cents is required: an event without it/],
    [{ field: 'clip', expect: { exists: Other } }, /other is not among the items/],
    [{ field: 'buyer', expect: { exists: Clip } }, /buyer is no id of clip; declare it as id\('clip'\)/], // prettier-ignore
    [{ expect: { that: 1 } }, /that: it is no function/],
    [{ expect: { share: { min: 0.1, of: 1 } } }, /share\.of: it is no function/],
    [{ expect: { share: { max: 2, of: () => true } } }, /share\.max: 2 is not from 0 to 1/],
    [{ field: 'cents', expect: { missing: { max: 0.1 } } }, /cents is required: no event is without it/], // prettier-ignore
    [
      { field: 'cents', expect: { quantile: { q: 1, max: 3 } } },
      /quantile\.q: use a share between/,
    ],
    [{ expect: { volume: { min: 1 } }, severity: 'quarantine' }, /none of which can be held; use warn, or refuse for files/], // prettier-ignore
    [{ expect: { fresh: '10s' } }, /fresh: use a length of 1m to 31d/],
    [{ expect: { volume: { min: 1 } }, per: 'often' }, /per: The duration often cannot be read/],
    [{ expect: { volume: { min: 1 } }, atLeast: 0 }, /atLeast: use a whole number from 1/],
  ]
  for (const [options, reason] of refused) assert.match(refusal(odd(options)), reason)
  const fine = odd({ field: 'cents', expect: range })
  assert.equal(refusal(fine), 'taken')
  assert.throws(() => defineApp({ name: 'app', events: [paid], checks: { 'No name': fine } }), /a check is named/) // prettier-ignore
})

test('rules of a row say why an event does not fit, and no personal value', () => {
  const faultOf = (options: Readonly<Record<string, unknown>>, data: object): string | undefined =>
    compileCheck('it', odd(options)).fault({ ...event0, ...data }, known)
  const cases: readonly (readonly [Readonly<Record<string, unknown>>, object, object, RegExp])[] = [
    [{ field: 'cents', expect: { range: { min: 2, max: 9 } } }, { cents: 2 }, { cents: 1 }, /^1 is below 2$/], // prettier-ignore
    [{ field: 'cents', expect: { range: { max: 9 } } }, { cents: 9 }, { cents: 10 }, /^10 is above 9$/], // prettier-ignore
    [
      { field: 'name', expect: { pattern: /^A/ } },
      {},
      { name: 'Ben' },
      /^it does not match \/\^A\/$/,
    ],
    [
      { field: 'note', expect: { pattern: /^A/ } },
      { note: 'A' },
      { note: 'b' },
      /^"b" does not match/,
    ],
    [{ field: 'note', expect: { present: true } }, { note: 'b' }, {}, /^it is missing$/],
    [{ field: 'note', expect: { present: true } }, { note: 'b' }, { note: '' }, /^it is empty$/],
    [{ field: 'tags', expect: { oneOf: ['a', 'b'] } }, { tags: ['a', 'b'] }, { tags: ['a', 'c'] }, /^"c" is none of the 2/], // prettier-ignore
    [{ field: 'tags', expect: { length: { max: 1 } } }, {}, { tags: ['a', 'c'] }, /^its length 2 is above 1$/], // prettier-ignore
    [{ field: 'clip', expect: { exists: Clip } }, {}, { clip: 'c2' }, /^there is no clip "c2"$/],
    [{ expect: { that: (d: { cents: number }) => d.cents < 6 } }, {}, { cents: 6 }, /not as the check says/], // prettier-ignore
    [{ field: 'note', expect: { type: 'integer' } }, { note: '-12' }, { note: '1.5' }, /"1.5" is no integer/], // prettier-ignore
    [
      { field: 'note', expect: { type: 'number' } },
      { note: '1.5e3' },
      { note: 'NaN' },
      /is no number/,
    ],
    [{ field: 'note', expect: { type: 'date' } }, { note: '2024-02-29T10:00Z' }, { note: '2023-02-29' }, /is no date/], // prettier-ignore
    [{ field: 'note', expect: { type: 'date' } }, { note: '2024-02-29' }, { note: '29.2.2024' }, /is no date/], // prettier-ignore
    [{ field: 'note', expect: { type: 'url' } }, { note: 'https://a.b/c' }, { note: 'a b' }, /is no url/], // prettier-ignore
    [
      { field: 'note', expect: { type: 'email' } },
      { note: 'a@b.c' },
      { note: 'a@b' },
      /is no email/,
    ],
    [{ field: 'note', expect: { type: 'uuid' } }, { note: '019b8d9c-2820-8dde-8f60-c948717a9e0b' }, { note: '019b' }, /is no uuid/], // prettier-ignore
  ]
  for (const [options, fits, fails, reason] of cases) {
    assert.equal(faultOf(options, fits), undefined)
    assert.match(faultOf(options, fails) ?? 'it fits', reason)
  }
  // What is absent is judged by `present` alone, and `when` chooses.
  assert.equal(faultOf({ field: 'note', expect: { pattern: /^A/ } }, {}), undefined)
  const tvAlone = { field: 'cents', expect: { range: { max: 1 } }, when: (d: { device: string }) => d.device !== 'tv' } // prettier-ignore
  assert.equal(faultOf(tvAlone, {}), undefined)
})

test('windows are judged by what was counted', () => {
  const sums = (options: Readonly<Record<string, unknown>>, events: readonly object[]): string => {
    const made = compileCheck('it', odd({ atLeast: 2, ...options }))
    const sum = Array.from({ length: made.width }, () => 0)
    const values: unknown[] = []
    for (const data of events) {
      const added = made.countsOf({ ...event0, ...data }, known)
      added?.counts.forEach((count, at) => (sum[at]! += count))
      if (added?.value !== undefined) values.push(added.value)
    }
    return made.verdict(sum, values.length - new Set(values).size).state
  }
  const cents = (...of: readonly number[]): readonly object[] => of.map(each => ({ cents: each }))
  assert.equal(sums({ expect: { volume: { min: 2, max: 3 } } }, cents(1, 2)), 'ok')
  assert.equal(sums({ expect: { volume: { min: 2, max: 3 } } }, cents(1)), 'failing')
  assert.equal(sums({ expect: { fresh: '1h' } }, []), 'failing')
  assert.equal(sums({ expect: { fresh: '1h' } }, cents(1)), 'ok')
  const missing = { field: 'note', expect: { missing: { max: 0.5 } } }
  assert.equal(sums(missing, [{ note: 'a' }, {}]), 'ok')
  assert.equal(sums(missing, [{ note: '' }, {}]), 'failing')
  assert.equal(sums(missing, [{}]), 'unknown')
  const unique = { field: 'tags', expect: { unique: { max: 0 } } }
  assert.equal(sums(unique, [{ tags: ['a'] }, { tags: ['b'] }, { tags: [] }]), 'ok')
  assert.equal(sums(unique, [{ tags: ['a'] }, { tags: ['a'] }]), 'failing')
  const share = { expect: { share: { min: 0.5, of: (d: { cents: number }) => 1 / d.cents > 0.4 } } }
  assert.equal(sums(share, cents(1, 5)), 'ok')
  assert.equal(sums(share, cents(4, 5)), 'failing')
  // Against what sorting says.
  const median = { field: 'cents', expect: { quantile: { q: 0.5, min: 3, max: 5 } } }
  assert.equal(sums(median, cents(1, 4, 9)), 'ok')
  assert.equal(sums(median, cents(1, 6, 9)), 'failing')
  assert.equal(sums(median, cents(1, 2, 9)), 'failing')
  assert.equal(sums({ field: 'rate', expect: { quantile: { q: 0.5, max: 5 } } }, cents(1, 2)), 'unknown') // prettier-ignore
  // Code that throws tells nothing good of an event, and nothing of a share.
  const thrown = { expect: { that: () => { throw new Error('no') } } } // prettier-ignore
  assert.equal(sums(thrown, cents(1)), 'failing')
})
