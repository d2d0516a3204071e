/** Prints every broken house rule, one line each; `test/tidy.test.ts` fails for the same findings. */
import { dirname } from 'node:path'
import { houseRules, withoutExceptions } from './tidy/house-rules.ts'
import { readSources } from './tidy/sources.ts'

const files = readSources(dirname(import.meta.dirname))
const faults = withoutExceptions(Object.values(houseRules).flatMap(find => find(files)))
for (const { rule, place, message } of faults) console.error(`${place}: ${message} [${rule}]`)
console.log(`${files.length} files, ${faults.length} faults`)
process.exitCode = faults.length > 0 ? 1 : 0
