/**
 * What is left of a body that was refused. A connection that is closed while bytes still arrive is
 * reset, and the reset overtakes the answer: the sender sees a broken pipe instead of the reason. So
 * the rest is read and thrown away, within bounds; after them the connection is cut.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Bytes of a refused body that are read. */
const DISCARDED_MAX = 64 * 1024 * 1024

const discarding = new WeakSet<Socket>()

/** True while the rest of a refused body is thrown away: what goes wrong meanwhile needs no other answer. */
export function isDiscarding(socket: Socket): boolean {
  return discarding.has(socket)
}

/**
 * Answers a request whose body has not come to its end. At once, except for a sender that wants the
 * connection closed after the answer: it gets the answer at the end of its body.
 */
export function answerBeforeEnd(
  request: IncomingMessage,
  response: ServerResponse,
  answer: () => void,
): void {
  if (Number(request.headers['content-length'] ?? 0) > DISCARDED_MAX) {
    response.setHeader('connection', 'close')
    return answer()
  }
  const { socket } = request
  let left = DISCARDED_MAX
  discarding.add(socket)
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) socket.destroy()
  })
  request.once('end', () => {
    discarding.delete(socket)
    if (!response.shouldKeepAlive) answer()
  })
  if (response.shouldKeepAlive) answer()
}
