/** The server under measurement, in a process of its own: `node serve.ts <directory> <product|bare>`. Prints its address. */
import { openMillrace } from 'millrace'
import { bare, product } from './product.ts'

const startedMs = performance.now()
const app = process.argv[3] === 'bare' ? bare : product
const millrace = await openMillrace({
  app,
  data: process.argv[2] ?? 'memory',
  logLevel: 'error',
  port: 0,
})
const { url, port } = await millrace.listen()
const readyMs = performance.now() - startedMs
process.stdout.write(`${JSON.stringify({ url, port, readyMs })}\n`)
process.on('SIGTERM', () => {
  void millrace.close().then(() => process.exit(0))
})
