import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { actsSuite } from './testing/acts-suite.ts'

actsSuite('data in a directory', async run => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-acts-'))
  await run(directory)
  await rm(directory, { recursive: true })
})
