import type { KnipConfig } from 'knip'

/** Unused files, exports and dependencies. Entries are what the outside or another process starts. */
const config: KnipConfig = {
  workspaces: {
    '.': {
      entry: [
        'test/**/*.test.ts',
        'test/planted/hook.mjs',
        'test/fuzz/{planted,targets}.ts',
        'bench/**/*.ts',
        'examples/**/*.ts',
      ],
      project: ['test/**', 'bench/**', 'examples/**'],
      // oxlint is given its rules by type information through tsgolint and is started by name.
      ignoreDependencies: ['oxlint', 'oxlint-tsgolint'],
    },
    'packages/*': {
      entry: ['src/**/*.{test,bench,test-d}.ts', 'src/**/*worker.ts', 'bin/*.mjs'],
      project: ['src/**', 'bin/**'],
      // The test kit is used by tests alone; dependency-cruiser holds it out of everything else.
      ignoreDependencies: ['@millrace/sim'],
    },
    'packages/store': {
      entry: ['src/**/*.test.ts'],
      project: ['src/**'],
      // Its tests run on the disk of the log as well.
      ignoreDependencies: ['@millrace/sim', '@millrace/log'],
    },
    scripts: {
      entry: ['*.ts', 'prepare.mjs'],
      project: ['**'],
      // What Debian and PostgreSQL bring.
      ignoreBinaries: ['pg_config', 'pgbouncer', 'apt-get'],
    },
    'apps/console': { entry: ['index.html'], project: ['src/**'] },
    'apps/demo': { entry: ['src/start.ts', 'src/**/*.test.ts'], project: ['src/**'] },
  },
  ignoreExportsUsedInFile: true,
  // A suite needs an optional peer where it runs, nothing else does.
  exclude: ['optionalPeerDependencies'],
}

export default config
