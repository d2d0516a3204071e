import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LineBlocks } from './line-blocks.ts'

const seed = 20_261_121
const numRuns = Number(process.env['MILLRACE_PROP_RUNS'] ?? 300)
const options = { blockBytes: 40, lineBytesMax: 25 }
const CHUNK_BYTES_MAX = 30

/** Lines with their newlines; the last may have none. */
function linesOf(text: string): string[] {
  return text.split(/(?<=\n)/).filter(line => line !== '')
}

test('blocks are the lines of the body, however it is cut into chunks', () => {
  const line = fc.string({ unit: fc.constantFrom('a', 'é', ' ', '\r'), maxLength: 40 })
  const body = fc
    .tuple(fc.array(line, { maxLength: 12 }), fc.boolean())
    .map(([lines, isEnded]) => lines.join('\n') + (isEnded ? '\n' : ''))
  const sizes = fc.array(fc.integer({ min: 1, max: CHUNK_BYTES_MAX }), { minLength: 1 })
  fc.assert(
    fc.property(body, sizes, (text, chunkSizes) => {
      const bytes = Buffer.from(text)
      const blocks = new LineBlocks(options)
      const seen: string[] = []
      let lines = 0
      const take = (found: ReturnType<LineBlocks['end']>): void => {
        if (found === undefined) return
        const isTooLong = found.bytes.length === 0
        const block = isTooLong ? ['TOO LONG'] : linesOf(found.bytes.toString())
        const most = options.blockBytes + options.lineBytesMax + CHUNK_BYTES_MAX
        assert.ok(found.bytes.length <= most, 'a block is bounded')
        lines += found.lines
        seen.push(...block)
      }
      for (let at = 0, next = 0; at < bytes.length; next++) {
        const size = chunkSizes[next % chunkSizes.length] as number
        blocks.push(Buffer.from(bytes.subarray(at, at + size))).forEach(take)
        at += size
      }
      take(blocks.end())
      const expected = linesOf(text)
      assert.equal(seen.length, expected.length)
      seen.forEach((block, index) => {
        const wanted = expected[index] as string
        if (block !== 'TOO LONG') assert.equal(block, wanted)
        // A line that came whole in one chunk is left to whoever reads the block.
        else assert.ok(Buffer.byteLength(wanted.replace('\n', '')) > options.lineBytesMax)
      })
      const newlines = expected.filter(one => one.endsWith('\n')).length
      const isCutOpen = seen.at(-1) === 'TOO LONG' && !(expected.at(-1) ?? '').endsWith('\n')
      assert.equal(lines, newlines + (isCutOpen ? 1 : 0))
    }),
    { seed, numRuns },
  )
})
