/** Sketches against exact answers: their stated errors, sizes, and that order and merges change no bit. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader, ByteWriter } from '@millrace/core'
import type { AggregationInput, ObjectAggregation } from './aggregation.ts'
import { custom } from './custom.ts'
import { distinct } from './distinct.ts'
import { lastTexts } from './recent.ts'
import { quantiles } from './quantiles.ts'
import { sessions } from './sessions.ts'
import { topTexts } from './top-texts.ts'

const input = (value: number | string, atMs = 0): AggregationInput => ({
  value: Number(value),
  other: String(value),
  over: 1,
  atMs,
})

function folded<S>(of: ObjectAggregation<S>, values: readonly (number | string)[]): S {
  return values.reduce<S>((state, value) => of.add(state, input(value)), of.init())
}

function bytesOf<S>(of: ObjectAggregation<S>, state: S): Uint8Array {
  const writer = new ByteWriter().reset()
  of.encode(writer, state)
  return writer.bytes()
}

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, at) => at)

/** Deterministic numbers in [0, 1). */
function* draws(): Generator<number> {
  for (let state = 1; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state / 2 ** 32
  }
}

void test('different values: exact while few, within three standard errors for up to a million', () => {
  const of = distinct(0.025)
  assert.equal(of.read(folded(of, [...numbers(256), ...numbers(256)]), 0), 256)
  let state = of.init()
  let at = 0
  for (const count of [300, 1_000, 10_000, 100_000, 1_000_000]) {
    for (; at < count; at++) state = of.add(state, input(`person ${at}`))
    const off = (of.read(state, 0) as number) / count - 1
    assert.ok(Math.abs(off) < 0.075, `${count}: ${off}`)
  }
  assert.equal(bytesOf(of, state).length, 2_049)
})

void test('different values: many sets, and the root of their mean squared error is the stated one', () => {
  const of = distinct(0.1)
  const sets = numbers(200).map(set =>
    folded(
      of,
      numbers(2_000).map(at => `${set} ${at}`),
    ),
  )
  const off = sets.map(state => (of.read(state, 0) as number) / 2_000 - 1)
  const mean = off.reduce((sum, each) => sum + each, 0) / off.length
  const rms = Math.sqrt(off.reduce((sum, each) => sum + each * each, 0) / off.length)
  assert.ok(rms < 0.12, `${rms}`)
  assert.ok(Math.abs(mean) < 0.025, `${mean}`)
})

void test('sketches: the order of events and of merges changes no bit', () => {
  const values = [...numbers(700), ...numbers(100)]
  for (const of of [
    distinct(0.025),
    distinct(0.1),
    quantiles([0.5], 0.01, found => found),
  ] as ObjectAggregation[]) {
    // prettier-ignore
    const whole = bytesOf(of, folded(of, values))
    assert.deepEqual(bytesOf(of, folded(of, values.toReversed())), whole)
    for (const cut of [3, 100, 300, 650]) {
      const parts = [values.slice(0, cut), values.slice(cut)].map(part => folded(of, part))
      const [a, b] = parts as [unknown, unknown]
      assert.deepEqual(bytesOf(of, of.merge(of.copy(a), b)), whole)
      assert.deepEqual(bytesOf(of, of.merge(of.copy(b), a)), whole)
      assert.deepEqual(bytesOf(of, a), bytesOf(of, folded(of, values.slice(0, cut))), 'a merge changes what it reads') // prettier-ignore
    }
    assert.deepEqual(bytesOf(of, of.decode(new ByteReader(whole))), whole)
  }
})

void test('quantiles: within the stated error of the number at the rank, of any sign and magnitude', () => {
  const drawn = draws()
  const next = (): number => drawn.next().value as number
  const shares = [0, 0.01, 0.25, 0.5, 0.9, 0.99, 1]
  for (const error of [0.01, 0.1]) {
    const of = quantiles(shares, error, values => values)
    const values = numbers(20_000).map(() => (next() - 0.3) * 10 ** (next() * 12 - 3))
    const found = of.read(folded(of, values), 0) as readonly number[]
    const sorted = values.toSorted((a, b) => a - b)
    shares.forEach((share, at) => {
      const exact = sorted[Math.floor(share * (sorted.length - 1))] as number
      assert.ok(Math.abs((found[at] as number) - exact) <= Math.abs(exact) * error * (1 + 1e-9))
    })
  }
  const of = quantiles([0.5], 0.01, ([value]) => value as number)
  assert.equal(of.read(folded(of, [1e-12, -0.5e-9, 0]), 0), 0)
  assert.ok((of.read(folded(of, [1e300]), 0) as number) <= 1.01e15)
})

void test('top texts: undercounted by no more than stated, and exact while there are few', () => {
  const drawn = draws()
  // Zipf: text n comes about 1 / n as often as the first.
  const values = numbers(20_000).map(() => `t${Math.floor(2_000 ** (drawn.next().value as number))}`) // prettier-ignore
  const of = topTexts(5, 100)
  const parts = numbers(24).map(part => folded(of, values.slice(part * 834, (part + 1) * 834)))
  const merged = parts.slice(1).reduce((all, part) => of.merge(all, part), of.copy(parts[0] as (typeof parts)[0])) // prettier-ignore
  assert.ok(merged.lost > 0 && merged.lost <= values.length / 101)
  assert.ok(merged.counts.size <= 100)
  const exact = Map.groupBy(values, text => text)
  for (const [text, all] of exact) {
    const missed = all.length - (merged.counts.get(text) ?? 0)
    assert.ok(missed >= 0 && missed <= merged.lost)
  }
  assert.deepEqual(of.read(merged, 0), ['t1', 't2', 't3', 't4', 't5'])
  const few = folded(of, ['b', 'a', 'b', 'c', 'c'])
  assert.deepEqual(of.read(few, 0), ['b', 'c', 'a'])
})

void test('what is taken out or put in leaves what a fold without it or with it leaves, or is refused', () => {
  const values = ['a', 'b', 'a', 'c', 'd', 'e', 'b', 'f', 'g', 'a', 'h', 'i', 'j', 'k']
  const all: readonly ObjectAggregation[] = [
    distinct(0.025),
    distinct(0.26),
    topTexts(2, 20),
    topTexts(2, 2),
    lastTexts(3),
    lastTexts(20),
    sessions(2),
    quantiles([0.5], 0.01, ([value]) => value as number),
  ] as ObjectAggregation[]
  let changed = 0
  let refused = 0
  for (const of of all) {
    for (let out = 0; out < values.length; out++) {
      for (let length = Math.max(2, out + 1); length <= values.length; length++) {
        const told = values.slice(0, length).map((value, at) => ({ ...input(value, at), value: at % 4 })) // prettier-ignore
        const fold = (inputs: readonly AggregationInput[]): unknown =>
          inputs.reduce((state, each) => of.add(state, each), of.init())
        const state = fold(told)
        const whole = bytesOf(of, state)
        const without = bytesOf(of, fold(told.filter((_, at) => at !== out)))
        const one = told[out] as AggregationInput
        if (of.invert?.(state, one, told.length) !== true) {
          refused += 1
          continue
        }
        changed += 1
        assert.deepEqual(bytesOf(of, state), without)
        if (of.insert?.(state, one, told.length - 1) === true)
          assert.deepEqual(bytesOf(of, state), whole) // prettier-ignore
        else refused += 1
      }
    }
  }
  assert.ok(changed > 200 && refused > 100, `${changed} changed, ${refused} refused`)
})

void test('an aggregation of a team: what it keeps and gives is held to what it says', () => {
  const one = { init: () => 1, add: () => 2, merge: () => 3, read: (state: unknown) => state as number } // prettier-ignore
  const as = { values: 'number', feature: 'a.b' } as const
  const of = custom(one, as)
  assert.equal(of.read(of.merge(of.init(), of.add(of.init(), input(1))), 0), 3)
  assert.throws(() => custom({ ...one, read: () => 'text' }, as).read('1', 0), /a.b was given/)
  assert.throws(() => custom({ ...one, read: () => NaN }, as).read('1', 0), /a.b was given/)
  assert.throws(
    () => custom({ ...one, init: () => undefined as never }, as).init(),
    /a.b was given/,
  )
})
