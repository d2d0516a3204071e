/** A server in a process of its own, to be killed: `node serve.ts <data directory>`. Prints its address as JSON. */
import { openForTest } from './clips.ts'

const millrace = await openForTest({ data: process.argv[2] as string })
const { url } = await millrace.listen()
process.stdout.write(`${JSON.stringify({ url })}\n`)
process.on('SIGTERM', () => {
  void millrace.close().then(() => process.exit(0))
})
