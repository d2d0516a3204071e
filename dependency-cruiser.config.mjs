/**
 * The import graph of the repository, in one table. `node scripts/import-graph.ts` checks it (it is
 * part of `npm run check`), and test/import-graph.test.ts proves that each rule finds a planted fault.
 */

/** Package -> the packages that it may import, always through a listed export. */
const layers = {
  core: [],
  log: ['core'],
  store: ['core'],
  recommend: ['core'],
  sim: ['core'],
  streams: ['core', 'log', 'store'],
  features: ['core', 'log', 'store', 'recommend', 'streams'],
  product: ['core', 'log', 'store', 'recommend', 'streams', 'features'],
  millrace: ['core', 'log', 'store', 'recommend', 'streams', 'features', 'product'],
}

/** Module of `product` -> the modules whose index.ts it may import. Anything else travels as an event. */
const productModules = {
  catalogue: [],
  changesets: [],
  features: [],
  checks: [],
  identity: ['changesets'],
  recommendations: ['catalogue', 'features'],
  people: ['catalogue', 'recommendations'],
}

/** Drivers of backends -> the only folders that may import them. */
const drivers = {
  '@platformatic/kafka': 'kafka',
  ioredis: 'redis',
  pg: 'postgres',
  aws4fetch: 's3',
  'classic-level': 'level',
  '@duckdb/node-api': 'duckdb',
}

/** Packages that compute and do no input or output; what they need comes in as a parameter. */
const pure = ['core', 'recommend']

/** The only file of a pure package that touches the machine: the ports to the system clock and randomness. */
const systemPorts = '^packages/core/src/system\\.ts$'

/** What the tests of a package may import besides: `sim`, its own layers, and these. */
const testLayers = { store: ['log'] }

/** Tests, measurements, and the folders `testing/` with what several tests share. */
const test = '(\\.(test|bench|test-d)\\.tsx?$|/testing/)'
const suite = '(/suite\\.ts$|/suite/)'
const backends = '(memory|file|kafka|postgres|redis|level|duckdb|sqlite|directory|s3)'
const anyOf = names => (names.length === 0 ? '(?!)' : `^packages/(${names.join('|')})/`)
const escaped = name => name.replace(/[/.-]/g, '\\$&')

export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment:
        'Files that need each other are one file, or lack a third; types may point both ways.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-unresolved',
      comment: 'The import names a file or package that does not exist.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-undeclared-dependency',
      comment: 'List the dependency in the package.json of the package that imports it.',
      severity: 'error',
      from: { path: '^packages/[^/]+/(src|bin)/', pathNot: [test] },
      to: {
        dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'],
        dependencyTypesNot: ['npm-peer'],
      },
    },
    ...Object.entries(layers).map(([name, allowed]) => ({
      name: `layer-${name}`,
      comment: `${name} may import ${allowed.join(', ') || 'no other package'}.`,
      severity: 'error',
      from: { path: `^packages/${name}/`, pathNot: [test] },
      to: {
        path: '^(packages|apps|scripts|examples|bench|test)/',
        pathNot: anyOf([name, ...allowed]),
      },
    })),
    ...Object.entries(layers).map(([name, allowed]) => ({
      name: `layer-${name}-tests`,
      comment: `Tests of ${name} may import ${['sim', ...allowed, ...(testLayers[name] ?? [])].join(', ')}.`,
      severity: 'error',
      from: { path: `^packages/${name}/.*${test}` },
      to: {
        path: '^(packages|apps|scripts|examples|bench)/',
        pathNot: anyOf([name, 'sim', ...allowed, ...(testLayers[name] ?? [])]),
      },
    })),
    {
      name: 'packages-are-in-the-table',
      comment: 'Add the package to the table of layers in dependency-cruiser.config.mjs.',
      severity: 'error',
      from: { path: '^packages/', pathNot: anyOf(Object.keys(layers)) },
      to: {},
    },
    {
      name: 'package-by-its-exports',
      comment: 'Another package is imported by its name, never by a path.',
      severity: 'error',
      from: { path: '^(packages|apps)/([^/]+)/' },
      to: { path: '^(packages|apps)/[^/]+/', pathNot: '^$1/$2/', dependencyTypes: ['local'] },
    },
    {
      name: 'apps-apart',
      comment: 'An app is not a library.',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'console-is-a-client',
      comment:
        'The console knows the server by HTTP, through the client; it shares only core with it.',
      severity: 'error',
      from: { path: '^apps/console/' },
      to: { path: '^packages/', pathNot: ['^packages/core/', '^packages/millrace/src/client/'] },
    },
    {
      name: 'backends-stay-apart',
      comment: 'Folders of backends of one contract do not import each other.',
      severity: 'error',
      from: { path: `^packages/([^/]+)/src/${backends}/` },
      to: { path: `^packages/$1/src/${backends}/`, pathNot: '^packages/$1/src/$2/' },
    },
    {
      name: 'backends-chosen-in-the-wiring',
      comment:
        'A backend of another package is chosen in millrace/src/wiring/; others know the contract.',
      severity: 'error',
      from: {
        path: '^packages/([^/]+)/',
        pathNot: [test, suite, '^packages/millrace/src/wiring/'],
      },
      to: { path: `^packages/[^/]+/src/.*/?${backends}/`, pathNot: '^packages/$1/' },
    },
    ...Object.entries(drivers).map(([driver, folder]) => ({
      name: `driver-${driver.replace(/[@/]+/g, '-').replace(/^-/, '')}`,
      comment: `${driver} is imported in folders named ${folder}/ only.`,
      severity: 'error',
      from: { path: '^(packages|apps)/', pathNot: `/${folder}/` },
      to: { path: `(^|node_modules/)${escaped(driver)}(/|$)` },
    })),
    ...Object.entries(productModules).map(([name, allowed]) => ({
      name: `module-${name}`,
      comment: `The module ${name} may import ${allowed.join(', ') || 'no other module'}; use events.`,
      severity: 'error',
      from: { path: `^packages/product/src/${name}/` },
      to: {
        path: `^packages/product/src/(${Object.keys(productModules).join('|')})/`,
        pathNot: [
          `^packages/product/src/${name}/`,
          ...allowed.map(other => `^packages/product/src/${other}/index\\.ts$`),
        ],
      },
    })),
    {
      name: 'pure-packages-do-no-io',
      comment: `${pure.join(', ')} do no input or output; take a port as a parameter.`,
      severity: 'error',
      from: { path: anyOf(pure), pathNot: [test, systemPorts] },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no-orphans',
      comment: 'Nothing imports the file and it is no entry.',
      severity: 'error',
      from: {
        orphan: true,
        path: '^(packages|apps)/[^/]+/src/',
        pathNot: [
          test,
          '\\.d\\.ts$',
          '(^|/)(index|main|start|app|worker)\\.tsx?$',
          '[-.]worker\\.ts$',
        ],
      },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: '(^|/)(node_modules|dist)/' },
    exclude: { path: '(^|/)dist/' },
    tsPreCompilationDeps: true,
    skipAnalysisNotInRules: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
      extensions: ['.ts', '.tsx', '.mjs', '.js', '.json', '.d.ts'],
    },
  },
}
