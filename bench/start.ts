/**
 * Time from the start of the process to listening, and memory, with a million events in the log,
 * views and recommendations current. Prints one JSON object.
 *
 *   node bench/start.ts [--events 1e6] [--rounds 5]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fillProduct } from './http/fill.ts'
import { median, startBenchServer } from './http/processes.ts'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1e6' },
    rounds: { type: 'string', default: '5' },
    directory: { type: 'string', default: tmpdir() },
  },
})

const directory = mkdtempSync(join(values.directory, 'millrace-bench-'))
await fillProduct(directory, Number(values.events))
const starts: number[] = []
const memory: number[] = []
for (let round = 0; round < Number(values.rounds); round++) {
  const server = await startBenchServer(directory, 'product')
  starts.push(server.startMs)
  memory.push(server.memory().residentMiB)
  await server.stop()
}
rmSync(directory, { recursive: true })
process.stdout.write(
  `${JSON.stringify({ bench: 'start', events: Number(values.events), readyMs: Math.round(median(starts)), residentMiB: median(memory) })}\n`,
)
