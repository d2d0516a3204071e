/**
 * Checks the import graph against the table in dependency-cruiser.config.mjs.
 * `node scripts/import-graph.ts [folder]` checks the repository, or a copy of it.
 *
 * dependency-cruiser parses TypeScript by the JavaScript API of the compiler, which TypeScript 7 does
 * not have; it is given the TypeScript 6 that is installed beside these scripts for it alone.
 */
import { existsSync } from 'node:fs'
import { createRequire, registerHooks } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ICruiseOptions, IForbiddenRuleType } from 'dependency-cruiser'

const require = createRequire(import.meta.url)
registerHooks({
  resolve: (specifier, context, next) =>
    /^typescript(\/|$)/.test(specifier) && context.parentURL?.includes('/dependency-cruiser/')
      ? { url: pathToFileURL(require.resolve(specifier)).href, shortCircuit: true }
      : next(specifier, context),
})
const { cruise, getAvailableTranspilers } = await import('dependency-cruiser')

const { default: config } = (await import(
  new URL('../dependency-cruiser.config.mjs', import.meta.url).href
)) as { default: { forbidden: IForbiddenRuleType[]; options: ICruiseOptions } }

const root = resolve(process.argv[2] ?? dirname(import.meta.dirname))
process.chdir(root)
if (!getAvailableTranspilers().some(({ name, available }) => name === 'typescript' && available)) {
  console.error('dependency-cruiser finds no TypeScript that it can use; run `npm ci`.')
  process.exit(1)
}
const folders = ['packages', 'apps', 'scripts', 'examples', 'bench', 'test'].filter(folder =>
  existsSync(join(root, folder)),
)
const { output } = await cruise(folders, {
  ...config.options,
  ruleSet: { forbidden: config.forbidden },
  validate: true,
  baseDir: root,
})
if (typeof output === 'string') throw new TypeError('dependency-cruiser answered with text.')
for (const { rule, from, to } of output.summary.violations) {
  const comment = config.forbidden.find(({ name }) => name === rule.name)?.comment ?? ''
  console.error(`${rule.name}: ${from} -> ${to}\n  ${comment}`)
}
const { totalCruised, totalDependenciesCruised = 0, violations } = output.summary
console.log(
  `${totalCruised} files, ${totalDependenciesCruised} imports, ${violations.length} faults`,
)
process.exitCode = violations.length > 0 ? 1 : 0
