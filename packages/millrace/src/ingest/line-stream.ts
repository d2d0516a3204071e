/**
 * Takes events from a body of lines while it arrives: block by block, a few commits under way at a
 * time, the sender held back by reading no faster than the log writes.
 *
 * Promise: blocks are appended in order; when one is refused, none after it is. A line is taken
 * when it is whole: of a body that is cut off, the last piece is not.
 */
import { isError, type Clock } from '@millrace/core'
import { parseLines, tooLongLine, type BodyLimits, type ParsedBody } from './body.ts'
import { LineBlocks, type LineBlock } from './line-blocks.ts'

/** A block is about this long, so that a request of a thousand events is one. */
const BLOCK_BYTES = 512 * 1024
/** Blocks of one body that are on their way to the disk. */
const BLOCKS_MAX = 3
/** How often a block that the log had no room for is tried again before the body is given up. */
const ATTEMPTS_MAX = 50
const RETRY_MS = 50

/** Where a block begins in its body. */
export interface LineBase {
  readonly index: number
  readonly line: number
}

interface Ports<T> {
  readonly limits: BodyLimits
  readonly clock: Clock
  /** Appends the events of a block. A refusal of all of them must come before the end of the turn. */
  commit(parsed: ParsedBody, base: LineBase): Promise<T>
  /** So many bytes of the body are no longer held. */
  onReleased(bytes: number): void
}

/** A block on its way. */
interface Waiting<T> {
  readonly outcome: Promise<T>
  readonly bytes: number
}

/** What became of each block, in order. Throws what refuses a block. */
export async function* takeLines<T>(
  chunks: AsyncIterable<Buffer>,
  ports: Ports<T>,
): AsyncGenerator<T> {
  const { limits, onReleased } = ports
  const waiting: Waiting<T>[] = []
  const settled = async (): Promise<T> => {
    const { outcome, bytes } = waiting.shift() as Waiting<T>
    const result = await outcome
    onReleased(bytes)
    return result
  }
  let base: LineBase = { index: 0, line: 0 }
  for await (const block of blocksOf(chunks, ports)) {
    const parsed = parseBlock(block, base, limits)
    const bytes = block.bytes.length
    if (parsed.values.length === 0) onReleased(bytes)
    else waiting.push({ ...(await admit(ports, parsed, base)), bytes })
    base = { index: base.index + parsed.values.length, line: base.line + block.lines }
    if (waiting.length === BLOCKS_MAX) yield settled()
  }
  while (waiting.length > 0) yield settled()
}

async function* blocksOf<T>(
  chunks: AsyncIterable<Buffer>,
  { limits, onReleased }: Ports<T>,
): AsyncGenerator<LineBlock> {
  const { eventBytesMax: lineBytesMax } = limits
  const blocks = new LineBlocks({ blockBytes: BLOCK_BYTES, lineBytesMax })
  let skipped = 0
  for await (const chunk of chunks) {
    yield* blocks.push(chunk)
    onReleased(blocks.skippedBytes - skipped)
    skipped = blocks.skippedBytes
  }
  const last = blocks.end()
  if (last !== undefined) yield last
}

function parseBlock({ bytes }: LineBlock, base: LineBase, limits: BodyLimits): ParsedBody {
  if (bytes.length === 0) return tooLongLine(limits)
  return parseLines(bytes, { ...limits, eventsMax: Infinity }, { isFirst: base.line === 0 })
}

/** Starts the commit of a block; while the log has no room for it, waits and tries again. */
async function admit<T>(
  { clock, commit }: Ports<T>,
  parsed: ParsedBody,
  base: LineBase,
): Promise<{ readonly outcome: Promise<T> }> {
  for (let attempt = 1; ; attempt++) {
    const outcome = commit(parsed, base)
    try {
      // A refusal comes at once, and nothing of the body may overtake it.
      await Promise.race([outcome, new Promise<void>(resolve => clock.soon(resolve))])
      return { outcome }
    } catch (error) {
      const isWaitedFor = isError(error, 'LOG_OVERLOADED') && base.line > 0
      if (!isWaitedFor || attempt === ATTEMPTS_MAX) throw error
      const { retryAfterMs = RETRY_MS } = error
      await new Promise<void>(resolve => void clock.after(retryAfterMs, resolve))
    }
  }
}
