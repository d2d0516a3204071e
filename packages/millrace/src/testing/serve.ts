/**
 * A server in a process of its own, to be killed: `node serve.ts <data directory> [clips|receipts]`.
 * Prints its address as JSON; ends with the process that started it, whose end closes its input.
 */
import { flushCompileCache } from 'node:module'
import { foregroundClock } from '@millrace/core'
import { clips, openForTest } from './clips.ts'
import { receipts } from './receipts.ts'

const [data = '', app] = process.argv.slice(2)
// Waiting for the lease of a process that was killed must not end this one.
const clock = foregroundClock
const millrace = await openForTest({ app: app === 'receipts' ? receipts : clips, data, clock })
const { url } = await millrace.listen()
process.stdout.write(`${JSON.stringify({ url })}\n`)
process.stdin.on('close', () => process.exit(1)).resume()
// Who is killed leaves nothing to the next one otherwise.
flushCompileCache()
process.on('SIGTERM', () => {
  void millrace.close().then(() => process.exit(0))
})
