/**
 * The reader of JSON Lines: one object a line. A line that is not an object is refused with its
 * number; all others are read. Memory: one chunk and one row.
 */
import type { ImportLimits } from './limits.ts'
import { readLines } from './lines.ts'
import { refuseRow, type ObjectRow, type RefusedRow, type RowBlock } from './rows.ts'

/** Reads rows in blocks. Blank lines are no rows. */
export async function* readJsonLines(
  chunks: AsyncIterable<Uint8Array>,
  limits: Pick<ImportLimits, 'rowMax'>,
): AsyncGenerator<RowBlock<ObjectRow>> {
  const blocks = readLines(chunks, {
    encoding: 'utf-8',
    lineBytesMax: limits.rowMax,
    newline: '\n',
  })
  for await (const block of blocks) {
    const rows: ObjectRow[] = []
    const refused: RefusedRow[] = []
    let line = block.firstLine
    for (let at = 0; at < block.text.length; line++) {
      const found = block.text.indexOf('\n', at)
      const end = found < 0 ? block.text.length : found
      const text = block.text.slice(at, end).trim()
      at = end + 1
      if (text === '') continue
      if (block.badLines.has(line)) {
        refused.push(refuseRow(line, 'ROW_ENCODING', 'the line is not UTF-8', text))
        continue
      }
      const value = parse(text)
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        rows.push({ line, value: value as Readonly<Record<string, unknown>> })
      } else {
        const reason = value === undefined ? 'it is not JSON' : 'it is not a JSON object'
        refused.push(refuseRow(line, 'ROW_JSON', reason, text))
      }
    }
    if (block.tooLong !== undefined) {
      const reason = `the line is longer than ${limits.rowMax} bytes`
      refused.push(refuseRow(block.tooLong.line, 'ROW_TOO_LONG', reason, block.tooLong.start))
    }
    yield { rows, refused, latinLines: 0 }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
