import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crashSuite } from './testing/crash-suite.ts'

crashSuite(
  'data in a directory',
  async run => {
    const directory = await mkdtemp(join(tmpdir(), 'millrace-crash-'))
    await run(directory)
    await rm(directory, { recursive: true })
  },
  { places: 2 },
)
