import type { KnipConfig } from 'knip'

/** Unused files, exports and dependencies. Entries are what the outside or another process starts. */
const config: KnipConfig = {
  workspaces: {
    '.': {
      entry: ['scripts/*.{ts,mjs}', 'test/**/*.test.ts', 'bench/*.ts', 'examples/**/*.ts'],
      project: ['scripts/**', 'test/**', 'bench/**', 'examples/**'],
      // `node` is a binary, tsgolint is started by oxlint.
      ignoreDependencies: ['node', 'oxlint-tsgolint'],
    },
    'packages/*': {
      entry: ['src/**/*.{test,bench,test-d}.ts', 'src/**/*worker.ts', 'bin/*.mjs'],
      project: ['src/**', 'bin/**'],
    },
    'apps/console': {
      entry: ['index.html', 'src/main.tsx', 'vite.config.ts'],
      project: ['src/**'],
    },
    'apps/demo': { entry: ['src/{start,app,main}.ts', 'src/**/*.test.ts'], project: ['src/**'] },
    scripts: { entry: ['*.{ts,mjs}'], ignoreDependencies: ['typescript'] },
  },
  ignoreExportsUsedInFile: true,
}

export default config
