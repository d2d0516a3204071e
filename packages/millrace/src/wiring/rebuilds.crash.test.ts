import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rebuildCrashSuite } from '../testing/rebuild-crash-suite.ts'

rebuildCrashSuite('data in a directory', async run => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-rebuild-crash-'))
  await run(directory)
  await rm(directory, { recursive: true })
})
