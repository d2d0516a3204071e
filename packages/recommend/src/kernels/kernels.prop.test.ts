import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isError } from '@millrace/core'
import fc from 'fast-check'
import { inverseFactor, invert, multiply, rows, SHAPE, transposed } from './dense.ts'
import { chooseBuild, type KernelBuild } from './instance.ts'
import { createSerialThreads } from './threads.ts'
import { Workspace } from './workspace.ts'

const builds: readonly KernelBuild[] = ['fused', 'plain']
const numRuns = Number(process.env['MILLRACE_PROP_RUNS'] ?? 40)
const size = fc.integer({ min: 1, max: 300 })
const small = fc.integer({ min: -8, max: 8 })

/** Whole numbers from a seed: their sums are exact in f32, in any order. */
function wholes(length: number, seed: number): Float32Array {
  let state = seed | 0
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return (state >> 20) % 9
  })
}

test('the fused build passes its own test on this engine', () => {
  assert.equal(chooseBuild(), 'fused')
})

for (const build of builds) {
  describe(build, () => {
    const workspace = new Workspace(createSerialThreads(build))

    test('products of any shape and stride are exact on whole numbers', async () => {
      await fc.assert(
        fc.asyncProperty(size, size, size, fc.boolean(), fc.boolean(), small, async (m, n, depth, isATurned, isBTurned, seed) => {
          const [x, y] = [workspace.floatsOf(wholes(m * depth, seed)), workspace.floatsOf(wholes(depth * n, seed + 1))]
          const out = workspace.floatsOf(wholes(m * n, seed + 2))
          const before = out.slice()
          const a = isATurned ? transposed(rows(x, m)) : rows(x, depth)
          const b = isBTurned ? transposed(rows(y, depth)) : rows(y, n)
          await multiply(workspace, { m, n, depth, a, b, out: rows(out, n), alpha: 2, beta: 3 })
          for (let probe = 0; probe < 50; probe++) {
            const [i, j] = [(probe * 7919) % m, (probe * 104_729) % n]
            let sum = 0
            for (let p = 0; p < depth; p++) sum += x[i * a.rowStride + p * a.columnStride]! * y[p * b.rowStride + j * b.columnStride]!
            assert.equal(out[i * n + j], 2 * sum + 3 * before[i * n + j]!)
          }
          workspace.free(x, y, out)
        }),
        { numRuns },
      )
    }) // prettier-ignore

    test('a product of triangles leaves out what is zero', async () => {
      const n = 300
      const full = wholes(n * n, 5)
      const lower = workspace.floatsOf(full.map((value, at) => (at % n <= Math.floor(at / n) ? value : 0))) // prettier-ignore
      const [all, part] = [workspace.floats(n * n), workspace.floats(n * n)]
      const a = transposed(rows(lower, n))
      await multiply(workspace, { m: n, n, depth: n, a, b: rows(lower, n), out: rows(all, n) })
      const shape = SHAPE.lower | SHAPE.fromI | SHAPE.fromJ
      await multiply(workspace, { m: n, n, depth: n, a, b: rows(lower, n), out: rows(part, n), shape }) // prettier-ignore
      for (let i = 0; i < n; i++)
        for (let j = 0; j <= i; j++) assert.equal(part[i * n + j], all[i * n + j])
      workspace.free(lower, all, part)
    })

    test('an inverse times its matrix is one', async () => {
      for (const n of [1, 2, 127, 128, 129, 300]) {
        const x = workspace.floatsOf(wholes(n * n, n))
        const a = workspace.floats(n * n)
        await multiply(workspace, { m: n, n, depth: n, a: rows(x, n), b: transposed(rows(x, n)), out: rows(a, n) }) // prettier-ignore
        for (let i = 0; i < n; i++) a[i * n + i]! += n
        const kept = Float64Array.from(a)
        assert.equal(await invert(workspace, a, n, n), true)
        for (let i = 0; i < n; i++) {
          const j = (i * 31) % n
          let [sum, diagonal] = [0, 0]
          for (let p = 0; p < n; p++) {
            sum += kept[i * n + p]! * a[p * n + j]!
            diagonal += kept[i * n + p]! * a[p * n + i]!
          }
          assert.ok(Math.abs(diagonal - 1) < 1e-3, `${n}: ${diagonal}`)
          if (i !== j) assert.ok(Math.abs(sum) < 1e-3, `${n}: ${sum}`)
        }
        workspace.free(x, a)
      }
    })

    test('what is not positive definite has no inverse', async () => {
      const a = workspace.floatsOf([1, 2, 2, 1])
      assert.equal(await inverseFactor(workspace, a, 2, 2), undefined)
      a.set([1, 2, 2, 1])
      assert.equal(await invert(workspace, a, 2, 2), false)
      workspace.free(a)
    })

    test('sparse rows times a table are what a loop gives', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(fc.nat(9), { maxLength: 6 }), { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 20 }), async (lists, quarter) => {
          const width = quarter * 4
          const table = workspace.floatsOf(wholes(10 * width, 3))
          const offsets = workspace.intsOf(lists.reduce((sums, list) => [...sums, sums.at(-1)! + list.length], [0]))
          const ids = workspace.intsOf(lists.flat())
          const values = workspace.floatsOf(wholes(ids.length, 4))
          const scale = workspace.floatsOf(wholes(lists.length, 6))
          const out = workspace.floats(lists.length * width)
          await workspace.run('spmm', { work: 0 }, lists.length, offsets, ids, values, scale, undefined, table, width * 4, out, width * 4, width)
          for (const [row, list] of lists.entries()) {
            for (let column = 0; column < width; column++) {
              const sum = list.reduce((total, id, at) => total + values[offsets[row]! + at]! * table[id * width + column]!, 0)
              assert.equal(out[row * width + column], scale[row]! * sum)
            }
          }
          workspace.free(table, offsets, ids, values, scale, out)
        }),
        { numRuns },
      )
    }) // prettier-ignore

    test('the best of each row are what sorting gives, without what was seen', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 12 }), fc.array(fc.nat(59), { maxLength: 8 }), async (scores, k, someSeen) => {
          const seen = [...new Set(someSeen.filter(id => id < scores.length))]
          const [row, offsets, ids] = [workspace.floatsOf(scores), workspace.intsOf([0, seen.length]), workspace.intsOf(seen)]
          const [bestIds, best] = [workspace.ints(k), workspace.floats(k)]
          await workspace.run('top', { work: 0 }, 1, scores.length, row, scores.length * 4, offsets, ids, k, bestIds, best)
          const expected = scores.map((score, id) => ({ score, id })).filter(({ id }) => !seen.includes(id)).sort((a, b) => b.score - a.score || a.id - b.id).slice(0, k)
          assert.deepEqual([...bestIds], [...expected.map(({ id }) => id), ...new Array<number>(k).fill(-1)].slice(0, k))
          assert.deepEqual([...best].slice(0, expected.length), expected.map(({ score }) => score))
          workspace.free(row, offsets, ids, bestIds, best)
        }),
        { numRuns },
      )
    }) // prettier-ignore

    test('blending standardises over unseen items; a row without spread adds nothing', async () => {
      const items = 5
      const scores = workspace.floatsOf([1, 2, 3, 100, 6, 7, 7, 7, 7, 7])
      const total = workspace.floats(10)
      const [offsets, ids] = [workspace.intsOf([0, 1, 1]), workspace.intsOf([3])]
      await workspace.run('blend', { work: 0 }, 2, items, scores, items * 4, undefined, offsets, ids, 2, total, items * 4) // prettier-ignore
      const deviation = Math.sqrt(3.5)
      for (const [item, score] of [1, 2, 3].entries())
        assert.ok(Math.abs(total[item]! - (2 * (score - 3)) / deviation) < 1e-5)
      assert.deepEqual([...total.subarray(5)], [0, 0, 0, 0, 0])
      workspace.free(scores, total, offsets, ids)
    })
  })
}

test('space that was given back is taken again, and giving back twice is refused', () => {
  const workspace = new Workspace(createSerialThreads('plain'))
  const [a, b, c] = [workspace.floats(100), workspace.floats(100), workspace.floats(100)]
  const place = a.byteOffset
  workspace.free(a, b)
  assert.equal(workspace.ints(180).byteOffset, place)
  assert.throws(
    () => workspace.free(b),
    error => isError(error, 'RECOMMEND_ARGUMENT_INVALID'),
  )
  workspace.free(c)
  assert.throws(
    () => workspace.floats(2 ** 31),
    error => isError(error, 'RECOMMEND_ARGUMENT_INVALID'),
  )
})
