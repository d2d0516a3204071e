/**
 * `npm run docs` brings the code blocks of the documents and the reference pages up to date;
 * `--check` changes nothing and fails when something is stale.
 */
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { rewriteBlocks } from './docs/blocks.ts'
import { renderCommandsPage } from './docs/commands-page.ts'
import { renderConfigurationPage } from './docs/configuration-page.ts'
import { renderErrorsPage } from './docs/errors-page.ts'
import { renderEventsPage } from './docs/events-page.ts'
import { renderHttpPage } from './docs/http-page.ts'
import { renderMetricsPage } from './docs/metrics-page.ts'

const root = dirname(import.meta.dirname)
const isCheck = process.argv.includes('--check')
const faults: string[] = []

/** Generated pages -> what renders them. */
const pages: Readonly<Record<string, () => Promise<string>>> = {
  'docs/reference/commands.md': () => renderCommandsPage(root),
  'docs/reference/configuration.md': () => renderConfigurationPage(root),
  'docs/reference/errors.md': () => renderErrorsPage(root),
  'docs/reference/events.md': () => renderEventsPage(root),
  'docs/reference/http.md': () => renderHttpPage(root),
  'docs/reference/metrics.md': () => renderMetricsPage(root),
}

const tests = globSync('{packages,apps,examples,test,bench}/**/*.test.ts', {
  cwd: root,
  exclude: path => /node_modules|dist/.test(path),
}).map(path => ({ path, text: read(path) ?? '' }))

for (const path of globSync(['README.md', 'docs/**/*.md', 'packages/*/README.md'], { cwd: root })) {
  if (/^docs\/(reference|adr)\//.test(path)) continue
  const text = read(path) ?? ''
  const rewritten = rewriteBlocks(text, read)
  faults.push(...rewritten.faults.map(fault => `${path}: ${fault}`))
  for (const source of new Set(rewritten.sources)) {
    if (!isExecuted(source)) faults.push(`${path}: no test executes ${source}`)
  }
  update(path, text, rewritten.text)
}
for (const [path, render] of Object.entries(pages)) {
  const options = { ...(await resolveConfig(join(root, path))), parser: 'markdown' }
  update(path, read(path), await format(await render(), options))
}
for (const fault of faults) console.error(fault)
process.exitCode = faults.length > 0 ? 1 : 0

function read(path: string): string | undefined {
  return existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined
}

/** A test is executed by itself; any other file when a test names it. */
function isExecuted(source: string): boolean {
  const name = basename(source)
  return tests.some(test => test.path === source || test.text.includes(name))
}

function update(path: string, before: string | undefined, after: string): void {
  if (before === after) return
  if (isCheck) {
    faults.push(`${path} is stale; run \`npm run docs\` and commit it`)
    return
  }
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), after)
  console.log(`wrote ${path}`)
}
