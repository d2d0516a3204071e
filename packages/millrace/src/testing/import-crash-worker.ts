/**
 * A process that imports and is killed on the way, for the crash test of imports:
 * `node import-crash-worker.ts <data directory> <file> <where>`; `where` is `read`, the number of
 * the append after which it dies, or `never`.
 */
import { silentLogger, systemClock, systemRandom } from '@millrace/core'
import { openNodeDisk } from '@millrace/log/disk'
import { readConfig } from '../config.ts'
import {
  IMPORT_LIMITS,
  builtInApp,
  createLogSink,
  listSources,
  planFile,
  runImport,
} from '../import/index.ts'
import { openBackends } from '../wiring/backends.ts'

const [data = '', path = '', where = 'never'] = process.argv.slice(2)
const app = builtInApp('interactions')
if (app === undefined) process.exit(1)
const limits = {
  ...IMPORT_LIMITS,
  runBytes: 20_000,
  rowMax: 4_000,
  batchEvents: 40,
  checkpointRows: 100,
}
const ports = { clock: systemClock, random: systemRandom, logger: silentLogger }
const backends = await openBackends({ app, data, limits: readConfig().limits, ...ports })
await backends.log.declare(app.streams)
const { files } = await listSources(path, limits)
const [file] = files
if (file === undefined) process.exit(1)
const { input } = await planFile({ app, file, format: 'csv', options: {}, limits })
const sink = createLogSink({ log: backends.log, app, clock: systemClock })
let appends = 0
const report = await runImport({
  app,
  inputs: [input],
  disk: openNodeDisk(data),
  clock: systemClock,
  limits,
  sink: {
    async append(events) {
      const results = await sink.append(events)
      appends += 1
      if (String(appends) === where) process.kill(process.pid, 'SIGKILL')
      return results
    },
  },
  onProgress({ phase, rows }) {
    if (phase === where && rows > 0) process.kill(process.pid, 'SIGKILL')
  },
})
await backends.close()
process.stdout.write(JSON.stringify(report))
