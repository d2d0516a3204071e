/**
 * The product in a process of its own, to be killed: `node server.ts <data directory> <shift>`. Its time
 * is the machine's, shifted by so many milliseconds: the story goes on where its history ends, with
 * windows that are open. Prints its address as JSON; ends with the process that started it, whose end
 * closes its input.
 */
import { systemClock } from '@millrace/core'
import { openMillrace } from 'millrace'
import { app } from './product.ts'

const [data = '', shift = '0'] = process.argv.slice(2)
const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + Number(shift) }
const millrace = await openMillrace({ app, data, clock, logLevel: 'silent' })
const { url } = await millrace.listen({ port: 0 })
process.stdout.write(`${JSON.stringify({ url })}\n`)
process.stdin.on('close', () => process.exit(1)).resume()
process.on('SIGTERM', () => {
  void millrace.close().then(() => process.exit(0))
})
