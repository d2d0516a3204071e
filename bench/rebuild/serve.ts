/**
 * The server that rebuilds, in a process of its own: `node serve.ts <directory> <every>`. Plants wrong
 * rows in the live view, one of `every` changed, the next one taken away, one that nobody wrote added;
 * prints its address and what it planted, as the lines of differences name it.
 */
import { fileURLToPath } from 'node:url'
import { openMillrace } from 'millrace'
import { app } from './app.ts'

const startedMs = performance.now()
const appFile = fileURLToPath(new URL('./app.ts', import.meta.url))
const [data = '', every = '0'] = process.argv.slice(2)
const millrace = await openMillrace({ app, appFile, data, logLevel: 'error', port: 0 })
const { url, port } = await millrace.listen()
await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 600_000 })
const planted: string[] = []
for (const [partition, shard] of millrace.streams.fold('view.plays').shards().entries()) {
  const wrong = Buffer.from('{"state":{"count":-1}}')
  for (const [at, key] of [...shard.keys()].entries()) {
    if (at % Number(every) === 0) {
      shard.decodeKey(key, wrong)
      planted.push(`changed ${partition}/${key}`)
    } else if (at % Number(every) === 1) {
      shard.decodeKey(key, undefined)
      shard.decodeKey(`ghost-${key}`, wrong)
      planted.push(`missing ${partition}/${key}`, `extra ${partition}/ghost-${key}`)
    }
  }
}
const readyMs = performance.now() - startedMs
process.stdout.write(`${JSON.stringify({ url, port, readyMs, planted })}\n`)
process.on('SIGTERM', () => {
  void millrace.close().then(() => process.exit(0))
})
