/** Every house rule finds a planted fault and leaves correct code alone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { houseRules, withoutExceptions } from '../scripts/tidy/house-rules.ts'
import { readSources } from '../scripts/tidy/sources.ts'
import { createRepositoryCopy } from './repository-copy.ts'

const long = (lines: number): string => 'export const x = 1\n'.repeat(lines)
const longFunction = `export function f(): number {\n${'  g()\n'.repeat(70)}  return 1\n}\n`
const lock = (packages: object): string => JSON.stringify({ packages })

/** What is planted: path, text, and the place and rule that must be found; none means correct code. */
const cases: readonly (readonly [path: string, text: string, found?: string])[] = [
  ['packages/a/src/clock.ts', 'export const f = () => Date.now()\n', 'clock.ts:1 clock'],
  ['packages/a/src/date.ts', '\nexport const f = () => new Date()\n', 'date.ts:2 clock'],
  ['packages/a/src/date-of.ts', 'export const f = (ms: number) => new Date(ms)\n'],
  ['packages/a/src/perf.ts', 'export const f = () => performance.now()\n', 'perf.ts:1 clock'],
  ['packages/a/src/computed.ts', "export const f = () => Date['now']()\n", 'computed.ts:1 clock'],
  ['packages/a/src/timer.ts', 'setTimeout(() => {}, 1)\n', 'timer.ts:1 timers'],
  ['packages/a/src/timer-module.ts', "import 'node:timers/promises'\n", 'timer-module.ts:1 timers'],
  [
    'packages/a/src/own-timer.ts',
    'export const f = (c: { setTimeout(): void }) => c.setTimeout()\n',
  ],
  ['packages/a/src/chance.ts', 'export const f = () => Math.random()\n', 'chance.ts:1 randomness'],
  [
    'packages/a/src/chance-id.ts',
    'export const f = () => crypto.randomUUID()\n',
    'chance-id.ts:1 randomness',
  ],
  ['packages/a/src/env.ts', "export const f = process.env['X']\n", 'env.ts:1 environment'],
  ['packages/millrace/src/config.ts', 'export const f = process.env\n'],
  ['packages/a/src/say.ts', "console.log('x')\n", 'say.ts:1 console'],
  ['packages/a/src/quoted.ts', "// Date.now() and console.log\nexport const f = 'Math.random()'\n"],
  ['packages/a/src/throws.ts', "throw new Error('x')\n", 'throws.ts:1 registered-errors'],
  [
    'packages/a/src/throws-type.ts',
    "throw new TypeError('x')\n",
    'throws-type.ts:1 registered-errors',
  ],
  ['packages/a/src/long.ts', long(501), 'long.ts file-lines'],
  ['packages/a/src/long-enough.ts', long(500)],
  ['packages/a/src/long-function.ts', longFunction, 'long-function.ts:1 function-lines'],
  ['packages/a/src/camelCase.ts', 'export const x = 1\n', 'camelCase.ts kebab-case'],
  ['packages/a/src/string-utils.ts', 'export const x = 1\n', 'string-utils.ts speaking-names'],
  ['packages/a/src/helpers/x.ts', 'export const x = 1\n', 'src/helpers speaking-names'],
  ['packages/a/src/todo.ts', '// TODO later\n', 'todo.ts:1 finished'],
  ['packages/a/src/star.ts', "export * from './long.ts'\n", 'star.ts:1 explicit-exports'],
  ['packages/a/src/suite.ts', 'export const testThing = (): void => {}\n'],
  ['packages/a/src/kafka/index.ts', 'export const x = 1\n', 'kafka/index.ts backend-suite'],
  ['packages/a/src/file/index.ts', 'export const x = 1\n'],
  ['packages/a/src/file/file.test.ts', "import { testThing } from '../suite.ts'\ntestThing()\n"],
  ['packages/a/package.json', '{ "name": "a", "description": "A.", "license": "Apache-2.0" }\n'],
  ['packages/a/README.md', '# a\n'],
  [
    'packages/b/package.json',
    '{ "name": "b", "description": "B.", "license": "Apache-2.0" }\n',
    'b/package.json package',
  ],
  ['docs/path.md', 'Look into /home/someone/x.\n', 'path.md:1 portable'],
  ['docs/host.md', 'From https://registry.example.org/x.\n', 'host.md:1 portable'],
  ['docs/plain.md', 'A /workflow and https://example.org/work/x.\n'],
  [
    'packages/a/src/errors.ts',
    'defineErrors({ USED: {}, UNUSED: {}, wrong_case: {} })\n',
    'errors.ts errors',
  ],
  ['packages/b/src/errors.ts', 'defineErrors({ USED: {} })\n', 'b/src/errors.ts errors'],
  ['packages/a/src/uses.ts', "errors.create('USED')\nerrors.create('wrong_case')\n"],
  [
    'packages/a/src/empty.test.ts',
    "import { test } from 'node:test'\ntest('x', () => { f() })\n",
    'empty.test.ts:2 assertions',
  ],
  ['packages/a/src/none.test.ts', 'export const x = 1\n', 'none.test.ts assertions'],
  [
    'packages/a/src/good.test.ts',
    "test('x', () => { deep() })\nfunction deep() { deeper() }\nfunction deeper() { assert.ok(1) }\n",
  ],
  [
    'package-lock.json',
    lock({
      'node_modules/tool': { optionalDependencies: { 'tool-mac': '1', 'tool-linux': '1' } },
      'node_modules/tool-linux': { optional: true },
    }),
    'node_modules/tool lock-file',
  ],
]

test('every house rule finds its planted faults and nothing else', () => {
  const files = Object.fromEntries(cases.map(([path, text]) => [path, text]))
  const copy = createRepositoryCopy({ files, copied: [] })
  try {
    const sources = readSources(copy.root)
    const found = Object.values(houseRules)
      .flatMap(find => find(sources))
      .map(({ place, rule }) => `${place} ${rule}`)
    const wanted = cases.flatMap(([, , place]) => (place === undefined ? [] : [place]))
    const missed = wanted.filter(place => !found.some(finding => finding.endsWith(place)))
    assert.deepEqual(missed, [], found.join('\n'))
    const surplus = found.filter(finding => !wanted.some(place => finding.endsWith(place)))
    assert.deepEqual(surplus, [])
  } finally {
    copy.close()
  }
})

test('an exception hides its finding, and only that; a needless one is reported', () => {
  const finding = (rule: string, place: string) => ({ rule, place, message: '' })
  const findings = [
    finding('clock', 'a.ts:3'),
    finding('timers', 'a.ts:4'),
    finding('clock', 'b.ts:1'),
  ]
  const left = withoutExceptions(findings, [
    { rule: 'clock', path: 'a.ts', reason: 'r' },
    { rule: 'console', path: 'a.ts', reason: 'r' },
  ])
  assert.deepEqual(
    left.map(({ rule, place }) => `${rule} ${place}`),
    ['timers a.ts:4', 'clock b.ts:1', 'exceptions scripts/tidy/exceptions.ts'],
  )
})
