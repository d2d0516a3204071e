/**
 * The product in a process of its own, to be killed: `node server.ts <data directory>`. Prints its
 * address as JSON; ends with the process that started it, whose end closes its input.
 */
import { openMillrace } from 'millrace'
import { app } from './product.ts'

const [data = ''] = process.argv.slice(2)
const millrace = await openMillrace({ app, data, logLevel: 'silent' })
const { url } = await millrace.listen({ port: 0 })
process.stdout.write(`${JSON.stringify({ url })}\n`)
process.stdin.on('close', () => process.exit(1)).resume()
process.on('SIGTERM', () => {
  void millrace.close().then(() => process.exit(0))
})
