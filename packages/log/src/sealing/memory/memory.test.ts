import { systemRandom } from '@millrace/core'
import { keySuite } from '../suite.ts'
import { openMemoryKeys } from './index.ts'

keySuite('memory', async () => ({ store: openMemoryKeys(systemRandom) }))
