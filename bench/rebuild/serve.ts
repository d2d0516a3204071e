/** The server that rebuilds, in a process of its own: `node serve.ts <directory>`. Prints its address. */
import { fileURLToPath } from 'node:url'
import { openMillrace } from 'millrace'
import { app } from './app.ts'

const startedMs = performance.now()
const appFile = fileURLToPath(new URL('./app.ts', import.meta.url))
const data = process.argv[2] ?? ''
const millrace = await openMillrace({ app, appFile, data, logLevel: 'error', port: 0 })
const { url, port } = await millrace.listen()
await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 600_000 })
const readyMs = performance.now() - startedMs
process.stdout.write(`${JSON.stringify({ url, port, readyMs })}\n`)
process.on('SIGTERM', () => {
  void millrace.close().then(() => process.exit(0))
})
