import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { drawSeedOf, type DrawSeed } from './draw.ts'
import { SlateFiller, type SlateRequest } from './slate.ts'

const seedOf = (number: number): DrawSeed => drawSeedOf(`answer ${number}`)

/** As the product has them: two hashes of each key. */
const hashesOf = (items: number): Int32Array =>
  Int32Array.from(
    Array.from({ length: items }, (_, item) => drawSeedOf(`clip/c${item}`)).flatMap(({ a, b }) => [
      a,
      b,
    ]),
  )

function request(change: Partial<SlateRequest> & { items: number }): SlateRequest {
  const pool = Int32Array.from({ length: change.items }, (_, item) => item)
  return {
    pool,
    poolSize: pool.length,
    scores: Float64Array.from(pool, item => change.items - item),
    ranked: pool,
    rankedSize: Math.min(pool.length, change.slots ?? 3),
    reserved: new Int32Array(0),
    reservedSize: 0,
    reservedEvery: 0,
    reservedFirst: 0,
    slots: 3,
    explore: 0,
    seed: seedOf(1),
    hashes: hashesOf(change.items),
    isBlocked: () => false,
    onPlaced: () => undefined,
    ...change,
  }
}

test('without exploration the ranking is the slate, with certainty', () => {
  const filler = new SlateFiller()
  filler.fill(request({ items: 5 }))
  assert.deepEqual([...filler.items.subarray(0, filler.size)], [0, 1, 2])
  assert.deepEqual([...filler.propensities.subarray(0, filler.size)], [1, 1, 1])
})

/** Every slate that can be, with the product of the propensities that were declared for it. */
function distribution(
  change: Partial<SlateRequest> & { items: number },
  draws: number,
  seed: number,
): Map<string, { count: number; declared: number }> {
  const filler = new SlateFiller()
  const found = new Map<string, { count: number; declared: number }>()
  const taken: number[] = []
  const base = request({
    ...change,
    // One item of each pair (0 1), (2 3), ... a slate.
    isBlocked: item => taken.includes(item ^ 1),
    onPlaced: item => void taken.push(item),
  })
  for (let draw = 0; draw < draws; draw++) {
    taken.length = 0
    filler.fill({ ...base, seed: seedOf(seed * draws + draw) })
    const slate = [...filler.items.subarray(0, filler.size)].join(' ')
    const declared = filler.propensities.subarray(0, filler.size).reduce((a, b) => a * b, 1)
    const entry = found.get(slate) ?? { count: 0, declared }
    assert.ok(
      Math.abs(entry.declared - declared) < 1e-12,
      `${slate} was declared twice differently`,
    )
    entry.count += 1
    found.set(slate, entry)
  }
  return found
}

test('propensities are the frequencies: chi-square over all slates with limits and reserved slots', () => {
  const draws = 100_000
  for (const [place, explore] of [0.1, 0.5, 1].entries()) {
    const reserved = Int32Array.from([7, 6])
    const found = distribution(
      { items: 8, explore, reserved, reservedSize: 2, reservedEvery: 3, reservedFirst: 1 },
      draws,
      100 + place,
    )
    let declaredSum = 0
    let statistic = 0
    let cells = 0
    let restExpected = draws
    let restCount = draws
    for (const { count, declared } of found.values()) {
      declaredSum += declared
      const expected = declared * draws
      if (expected < 10) continue
      statistic += (count - expected) ** 2 / expected
      cells += 1
      restExpected -= expected
      restCount -= count
    }
    if (restExpected >= 10) statistic += (restCount - restExpected) ** 2 / restExpected
    assert.ok(declaredSum <= 1 + 1e-9, 'the chances of different slates add up to more than 1')
    assert.ok(declaredSum > 0.99, `slates with a chance of ${1 - declaredSum} never came`)
    // Mean and spread of chi-square are cells and sqrt(2 cells): five deviations.
    assert.ok(
      statistic < cells + 5 * Math.sqrt(2 * cells),
      `chi-square ${statistic} of ${cells} cells at ${explore}`,
    )
  }
})

test('a candidate that is alone has a chance of 1, explored or not', () => {
  const filler = new SlateFiller()
  filler.fill(request({ items: 1, explore: 0.9 }))
  assert.equal(filler.size, 1)
  assert.equal(filler.propensities[0], 1)
  assert.equal(filler.explored[0], 0)
})

test('a slate holds no candidate twice, keeps the limits, and is short only when nothing may stand', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 1, max: 70 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer(),
      (items, slots, explore, max, seed) => {
        const counts = new Map<number, number>()
        const filler = new SlateFiller()
        filler.fill(
          request({
            items,
            slots,
            explore,
            rankedSize: Math.min(items, 5),
            seed: seedOf(seed),
            isBlocked: item => (counts.get(item % 5) ?? 0) >= max,
            onPlaced: item => void counts.set(item % 5, (counts.get(item % 5) ?? 0) + 1),
          }),
        )
        const placed = [...filler.items.subarray(0, filler.size)]
        assert.equal(new Set(placed).size, placed.length)
        for (const count of counts.values()) assert.ok(count <= max)
        const possible = Array.from({ length: 5 }, (_, group) =>
          Math.min(max, Math.floor((items + 4 - group) / 5)),
        ).reduce((a, b) => a + b, 0)
        assert.equal(filler.size, Math.min(slots, possible))
        for (const propensity of filler.propensities.subarray(0, filler.size)) {
          assert.ok(propensity > 0 && propensity <= 1)
        }
      },
    ),
    { seed: 4 },
  )
})

test('beyond the ranked candidates the best of the pool follow', () => {
  const filler = new SlateFiller()
  const scores = Float64Array.from([9, 1, 5, 7])
  filler.fill(request({ items: 4, slots: 4, scores, ranked: Int32Array.from([0]), rankedSize: 1 }))
  assert.deepEqual([...filler.items.subarray(0, 4)], [0, 3, 2, 1])
})

test('without limits a slate is the one of limits that forbid nothing', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const slates = [undefined, (): boolean => false].map(isBlocked => {
      const filler = new SlateFiller()
      const items = seed % 12
      const reserved = Int32Array.from([3, 1]).filter(item => item < items)
      filler.fill(
        request({
          items,
          slots: 8,
          explore: 0.5,
          reserved,
          reservedSize: reserved.length,
          reservedEvery: 3,
          reservedFirst: 1,
          seed: seedOf(seed),
          isBlocked,
        }),
      )
      const { size } = filler
      return [filler.items, filler.propensities, filler.explored, filler.alternatives].map(column =>
        Array.from(column.subarray(0, size)),
      )
    })
    assert.deepEqual(slates[0], slates[1], `seed ${seed}`)
  }
})

test('a slate does not depend on the order of the pool, nor an explored slot on candidates that did not win it', () => {
  const slateOf = (seed: number, pool: readonly number[]): readonly number[] => {
    const filler = new SlateFiller()
    filler.fill(
      request({
        items: 30,
        pool: Int32Array.from(pool),
        poolSize: pool.length,
        ranked: Int32Array.of(0, 1, 2, 3, 4),
        rankedSize: 5,
        scores: new Float64Array(30),
        slots: 5,
        explore: 0.5,
        seed: seedOf(seed),
      }),
    )
    return [...filler.items.subarray(0, filler.size)]
  }
  const all = Array.from({ length: 30 }, (_, item) => item)
  for (let seed = 0; seed < 200; seed++) {
    const slate = slateOf(seed, all)
    assert.deepEqual(slateOf(seed, all.toReversed()), slate)
    const others = all.filter(item => item < 5 || slate.includes(item) || item % 3 === 0)
    assert.deepEqual(slateOf(seed, others), slate)
  }
})
