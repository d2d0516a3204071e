/** The server under measurement, in a process of its own: `node serve.ts <directory> <product|bare|demo> [port]`. Prints its address. */
import { defineApp, openMillrace } from 'millrace'
import { product as demo } from '../../apps/demo/src/app.ts'
import { bare, product } from './product.ts'

const startedMs = performance.now()
const apps = { bare, product, demo: defineApp(demo) }
const app = apps[process.argv[3] as keyof typeof apps] ?? product
const millrace = await openMillrace({
  app,
  data: process.argv[2] ?? 'memory',
  logLevel: 'error',
  port: Number(process.argv[4] ?? 0),
})
const { url, port } = await millrace.listen()
const readyMs = performance.now() - startedMs
process.stdout.write(`${JSON.stringify({ url, port, readyMs })}\n`)
process.on('message', () => {
  const keys = Object.fromEntries(millrace.streams.status().map(({ name, keys }) => [name, keys]))
  const { user, system } = process.threadCpuUsage()
  const memory = process.memoryUsage()
  const log = millrace.log.stats().gauges
  process.send?.({ memory, log, keys, mainThreadSeconds: (user + system) / 1e6 })
})
// Whoever started it was killed.
process.on('disconnect', () => process.exit(1))
process.on('SIGTERM', () => {
  void millrace.close().then(() => process.exit(0))
})
