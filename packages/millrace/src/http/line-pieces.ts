/** Waits for the pieces of a body of lines: for as long as lines come, and no longer. */
import type { Clock } from '@millrace/core'
import { serverErrors } from '../errors.ts'

const NEWLINE = 0x0a

/**
 * The pieces as they come. Throws REQUEST_TIMEOUT when the sender was waited for `limitMs` since the
 * last end of a line: a body may take for ever, one that drips byte by byte may not. The time in which
 * nobody asks for the next piece does not count.
 */
export async function* piecesInTime(
  pieces: AsyncIterator<Buffer>,
  { clock, limitMs }: { readonly clock: Clock; readonly limitMs: number },
): AsyncGenerator<Buffer> {
  let waitedMs = 0
  for (;;) {
    const startMs = clock.monotonicMs()
    const next = await inTime(pieces.next(), { clock, limitMs: limitMs - waitedMs })
    if (next.done === true) return
    waitedMs += clock.monotonicMs() - startMs
    if (next.value.includes(NEWLINE)) waitedMs = 0
    yield next.value
  }
}

function inTime<T>(
  awaited: Promise<T>,
  { clock, limitMs }: { readonly clock: Clock; readonly limitMs: number },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(Math.max(0, limitMs), () =>
      reject(serverErrors.create('REQUEST_TIMEOUT')),
    )
    awaited.then(resolve, reject).finally(() => timer.cancel())
  })
}
