/**
 * `npm run check`: everything that can be said about the sources without running the product.
 * Needs no network and stays under a minute. `npm run check -- lint types` runs some stages.
 */
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { runStages, type Stage } from './stages.ts'

const root = dirname(import.meta.dirname)

/** The slowest first, so that two cores end at about the same time. */
const stages: readonly Stage[] = [
  { name: 'tidy', command: ['node', 'scripts/tidy.ts'] },
  { name: 'unused', command: ['knip', '--no-progress', '--no-config-hints'] },
  {
    name: 'format',
    command: [
      'prettier',
      '--check',
      '--cache',
      '--cache-location',
      'node_modules/.cache/format',
      '--log-level',
      'warn',
      '.',
    ],
  },
  { name: 'imports', command: ['node', 'scripts/import-graph.ts'] },
  { name: 'types', command: ['tsc', '-p', 'tsconfig.json'] },
  { name: 'lint', command: ['oxlint'] },
  { name: 'docs', command: ['node', 'scripts/docs.ts', '--check'] },
  { name: 'packed', command: ['node', 'scripts/pack.ts'] },
]

const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => !stages.some(stage => stage.name === name))
if (unknown.length > 0) {
  console.error(
    `No stage ${unknown.join(', ')}; there are ${stages.map(({ name }) => name).join(', ')}.`,
  )
  process.exit(1)
}
const startedAt = performance.now()
const results = await runStages(
  root,
  stages.filter(({ name }) => wanted.length === 0 || wanted.includes(name)),
  availableParallelism(),
)
const failed = results.filter(({ isPassed }) => !isPassed)
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
console.log(`${results.length - failed.length} of ${results.length} stages passed in ${seconds} s`)
process.exitCode = failed.length > 0 ? 1 : 0
