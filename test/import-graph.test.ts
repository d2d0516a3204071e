/** Each rule of the import graph finds a planted fault, and a clean repository has none. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createRepositoryCopy, type RepositoryCopy } from './repository-copy.ts'

const script = join(dirname(import.meta.dirname), 'scripts/import-graph.ts')

const manifest = (name: string, dependencies: readonly string[]): string =>
  JSON.stringify({
    name,
    type: 'module',
    exports: { '.': './src/index.ts', './memory': './src/memory/index.ts' },
    dependencies: Object.fromEntries(dependencies.map(dependency => [dependency, '*'])),
  })

/** A small house in order. */
const clean = {
  'package.json': JSON.stringify({ name: 'copy', type: 'module', devDependencies: { pg: '*' } }),
  'packages/core/package.json': manifest('@millrace/core', []),
  'packages/core/src/index.ts': "export { a } from './a.ts'\n",
  'packages/core/src/a.ts': 'export const a = 1\n',
  'packages/log/package.json': manifest('@millrace/log', ['@millrace/core', 'fastify']),
  'packages/log/src/index.ts': "import { a } from '@millrace/core'\nexport const log = a\n",
  'packages/log/src/memory/index.ts': 'export const memory = 1\n',
  'packages/streams/package.json': manifest('@millrace/streams', [
    '@millrace/core',
    '@millrace/log',
  ]),
  'packages/streams/src/index.ts': "import { log } from '@millrace/log'\nexport const s = log\n",
  'packages/product/package.json': manifest('@millrace/product', ['@millrace/streams']),
  'packages/product/src/index.ts': "export { c } from './catalogue/index.ts'\n",
  'packages/product/src/catalogue/index.ts': 'export const c = 1\n',
  'packages/product/src/people/index.ts': "import '../catalogue/index.ts'\n",
  'apps/console/package.json': JSON.stringify({ name: 'console', type: 'module' }),
  'apps/console/src/main.tsx': "import { a } from '@millrace/core'\nexport const m = a\n",
}

/** The rule that must find it -> the file that holds the fault. */
const planted: Readonly<Record<string, { readonly path: string; readonly text: string }>> = {
  'layer-core': { path: 'packages/core/src/up.ts', text: "import '@millrace/log'\n" },
  'layer-log': {
    path: 'packages/log/src/up.ts',
    text: "import type { s } from '@millrace/streams'\nexport type S = typeof s\n",
  },
  'layer-log-tests': { path: 'packages/log/src/up.test.ts', text: "import '@millrace/streams'\n" },
  'package-by-its-exports': {
    path: 'packages/streams/src/by-path.ts',
    text: "import '../../log/src/index.ts'\n",
  },
  'no-unresolved': {
    path: 'packages/streams/src/unlisted.ts',
    text: "import '@millrace/log/src/index.ts'\n",
  },
  'no-cycles': {
    path: 'packages/core/src/cycle-back.ts',
    text: "import './cycle.ts'\nexport const x = 1\n",
  },
  'no-undeclared-dependency': {
    path: 'packages/streams/src/undeclared.ts',
    text: "import 'fastify'\n",
  },
  'pure-packages-do-no-io': { path: 'packages/core/src/reads.ts', text: "import 'node:fs'\n" },
  'module-catalogue': {
    path: 'packages/product/src/catalogue/reach.ts',
    text: "import '../people/index.ts'\n",
  },
  'module-people': {
    path: 'packages/product/src/people/behind.ts',
    text: "import '../catalogue/inside.ts'\n",
  },
  'backends-chosen-in-the-wiring': {
    path: 'packages/streams/src/backend.ts',
    text: "import '@millrace/log/memory'\n",
  },
  'driver-pg': { path: 'packages/log/src/driver.ts', text: "import 'pg'\n" },
  'backends-stay-apart': {
    path: 'packages/log/src/file/index.ts',
    text: "import '../memory/index.ts'\n",
  },
  'console-is-a-client': { path: 'apps/console/src/reach.ts', text: "import '@millrace/log'\n" },
  'packages-are-in-the-table': {
    path: 'packages/attic/src/index.ts',
    text: "import '@millrace/core'\n",
  },
  'no-orphans': { path: 'packages/core/src/alone.ts', text: 'export const alone = 1\n' },
}

describe('import graph', () => {
  let copy: RepositoryCopy
  before(() => {
    copy = createRepositoryCopy({ files: clean, copied: [] })
  })
  after(() => copy.close())

  it('finds nothing in a house in order, then every planted fault', () => {
    const first = check(copy.root)
    assert.equal(first.status, 0, first.output)

    copy.write(
      'packages/core/src/cycle.ts',
      "import { x } from './cycle-back.ts'\nexport const y = x\n",
    )
    copy.write('packages/product/src/catalogue/inside.ts', 'export const inside = 1\n')
    for (const { path, text } of Object.values(planted)) copy.write(path, text)
    const second = check(copy.root)
    assert.equal(second.status, 1, second.output)
    const missed = Object.entries(planted).filter(
      ([rule, { path }]) => !second.output.includes(`${rule}: ${path} -> `),
    )
    assert.deepEqual(missed, [], second.output)
  })
})

function check(root: string): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, root], {
    encoding: 'utf8',
  })
  return { status, output: `${stdout}${stderr}` }
}
