/**
 * Builds what would be published and tries it. Every package is compiled to JavaScript with
 * declarations, staged as it would arrive in `node_modules`, checked by publint, and then used from a
 * project beside it: every export is imported, its types are compiled, the commands are started.
 * `--install` also packs the tarballs and installs them into an empty project, which needs a registry.
 */
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly exports: Readonly<Record<string, string>>
  readonly bin?: Readonly<Record<string, string>>
  readonly files?: readonly string[]
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

/** A package as it would be published. */
interface Staged {
  readonly manifest: Manifest
  readonly folder: string
}

const root = dirname(import.meta.dirname)
const work = join(root, '.cache/pack')
const compiled = join(work, 'compiled')
/** Below the repository, so that other packages are found in its node_modules without an installation. */
const project = join(work, 'project')
const faults: string[] = []

rmSync(work, { recursive: true, force: true })
attempt('compiling', compile)
const staged = faults.length === 0 ? stageAll() : []
for (const one of staged) await lint(one)
if (faults.length === 0) tryIn(project, staged)
if (faults.length === 0 && process.argv.includes('--install')) tryInstalled(staged)
for (const fault of faults) console.error(fault)
console.log(`${staged.length} packages, ${faults.length} faults`)
process.exitCode = faults.length > 0 ? 1 : 0

function compile(): void {
  run(root, process.execPath, [
    'node_modules/typescript/bin/tsc',
    '-p',
    'scripts/tsconfig.pack.json',
  ])
}

function stageAll(): Staged[] {
  return globSync('packages/*/package.json', { cwd: root })
    .toSorted()
    .map(path => ({ source: dirname(path), manifest: readManifest(join(root, path)) }))
    .filter(({ manifest }) => manifest.private !== true)
    .map(({ source, manifest }) => {
      const folder = join(project, 'node_modules', manifest.name)
      mkdirSync(folder, { recursive: true })
      stageSources(source, folder)
      for (const name of ['README.md', ...(manifest.files ?? [])])
        copyIfPresent(join(root, source, name), join(folder, name))
      cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
      for (const path of Object.values(manifest.bin ?? {}))
        stageCommand(join(root, source, path), join(folder, path))
      const published = publishedManifest(manifest)
      writeFileSync(join(folder, 'package.json'), `${JSON.stringify(published, null, 2)}\n`)
      return { manifest: published, folder }
    })
}

function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest
}

/** Compiled files, with the names of sources in them turned into the names of what they became. */
function stageSources(source: string, folder: string): void {
  const from = join(compiled, source.replace(/^packages\//, ''), 'src')
  for (const path of globSync('**/*.{js,d.ts}', { cwd: from })) {
    const text = renamed(readFileSync(join(from, path), 'utf8'))
    const left = /(?:from|import|URL)\s*\(?\s*(['"]\.{1,2}\/[^'"]*\.tsx?['"])/.exec(text)?.[1]
    if (left !== undefined) faults.push(`${source}/src/${path} still names ${left}`)
    write(join(folder, 'dist', path), text)
  }
  const assets = globSync('**/*.{json,html,css,sql,wasm,md}', { cwd: join(root, source, 'src') })
  for (const path of assets.filter(name => !/(^|\/)(fixtures|seeds\.json)/.test(name))) {
    copyIfPresent(join(root, source, 'src', path), join(folder, 'dist', path))
  }
}

/** tsc renames imports, but neither those in declarations nor the addresses of workers. */
function renamed(text: string): string {
  return text
    .replace(/((?:from|import)\s*\(?\s*['"]\.{1,2}\/[^'"]*)\.tsx?(['"])/g, '$1.js$2')
    .replace(/(new URL\(\s*['"]\.{1,2}\/[^'"]*)\.ts(['"]\s*,\s*import\.meta\.url)/g, '$1.js$2')
}

/** A command imports from `../src`; published, from `../dist`. */
function stageCommand(from: string, to: string): void {
  const text = readFileSync(from, 'utf8')
  write(to, text.replace(/(['"]\.\.\/)src(\/[^'"]*)\.ts(['"])/g, '$1dist$2.js$3'))
}

function publishedManifest(manifest: Manifest): Manifest {
  const { devDependencies: _dev, scripts: _scripts, ...rest } = manifest
  const exports = Object.fromEntries(
    Object.entries(manifest.exports).map(([entry, path]) => {
      const built = path.replace(/^\.\/src\//, './dist/').replace(/\.ts$/, '')
      return [
        entry,
        path.endsWith('.ts') ? { types: `${built}.d.ts`, default: `${built}.js` } : path,
      ]
    }),
  )
  const files = ['dist', ...(manifest.bin === undefined ? [] : ['bin']), ...(manifest.files ?? [])]
  return { ...rest, exports: exports as unknown as Manifest['exports'], files: [...new Set(files)] }
}

async function lint({ manifest, folder }: Staged): Promise<void> {
  const { messages, pkg } = await publint({ pkgDir: folder, pack: false, strict: true })
  // Only ES modules are published, so that advice about CommonJS does not apply.
  for (const message of messages) {
    if (message.type !== 'suggestion')
      faults.push(`${manifest.name}: ${formatMessage(message, pkg) ?? message.code}`)
  }
}

/** Uses every export and command of the packages from `folder`, where they can be resolved. */
function tryIn(folder: string, packages: readonly Staged[]): void {
  const entries = packages.flatMap(({ manifest }) =>
    Object.keys(manifest.exports)
      .filter(entry => !entry.endsWith('.json') && !entry.includes('*'))
      .map(entry => `${manifest.name}${entry.slice(1)}`),
  )
  const imports = entries.map((entry, at) => `import * as m${at} from '${entry}'`).join('\n')
  const names = `[${entries.map((_, at) => `m${at}`).join(', ')}]`
  write(join(folder, 'package.json'), '{ "name": "trial", "private": true, "type": "module" }\n')
  write(
    join(folder, 'use.mjs'),
    `${imports}\nif (${names}.some(m => Object.keys(m).length === 0)) process.exit(1)\n`,
  )
  write(join(folder, 'use.ts'), `${imports}\nexport const all: readonly object[] = ${names}\n`)
  attempt('importing every export', () => run(folder, process.execPath, ['use.mjs']))
  attempt('compiling against the declarations', () => compileUse(folder))
  for (const { manifest } of packages) {
    for (const path of Object.values(manifest.bin ?? {})) {
      const command = join(folder, 'node_modules', manifest.name, path)
      attempt(`${path} --version`, () => {
        const answer = run(folder, process.execPath, [command, '--version']).trim()
        if (!answer.includes(manifest.version)) faults.push(`${path} --version answers ${answer}`)
      })
    }
  }
}

/** Compiles `use.ts`; faults in the declarations of other packages are theirs. */
function compileUse(folder: string): void {
  const flags =
    '--noEmit --strict --target es2024 --module nodenext --types node --skipLibCheck false'
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const typeRoots = ['--typeRoots', join(root, 'node_modules/@types')]
  try {
    run(folder, process.execPath, [tsc, ...flags.split(' '), ...typeRoots, 'use.ts'])
  } catch (error) {
    const own = String((error as { stdout?: unknown }).stdout)
      .split('\n')
      .filter(line => /^(use\.ts|node_modules\/(@millrace\/|millrace\/))/.test(line))
    if (own.length > 0) faults.push(own.join('\n'))
  }
}

/** Installs the tarballs together into an empty project outside the repository and uses them there. */
function tryInstalled(packages: readonly Staged[]): void {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-pack-'))
  try {
    const npm = ['--no-audit', '--no-fund', '--loglevel=error']
    for (const one of packages)
      run(one.folder, 'npm', ['pack', '--pack-destination', folder, ...npm])
    const tarballs = globSync('*.tgz', { cwd: folder }).map(name => `./${name}`)
    write(join(folder, 'package.json'), '{ "name": "trial", "private": true, "type": "module" }\n')
    // An export that needs an optional peer is tried with it.
    const peers = packages.flatMap(({ manifest }) =>
      Object.entries(manifest.peerDependencies ?? {}),
    )
    const extra = new Set(peers.map(([name, range]) => `${name}@${range}`))
    run(folder, 'npm', ['install', ...npm, ...tarballs, ...extra])
    tryIn(folder, packages)
  } catch (error) {
    faults.push(`installing the tarballs: ${describe(error)}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function attempt(what: string, action: () => void): void {
  try {
    action()
  } catch (error) {
    faults.push(`${what}: ${describe(error)}`)
  }
}

function describe(error: unknown): string {
  const {
    stdout = '',
    stderr = '',
    message = '',
  } = error as Record<'stdout' | 'stderr' | 'message', unknown>
  return `${String(message)}\n${String(stdout)}\n${String(stderr)}`.trim()
}

function run(cwd: string, program: string, args: readonly string[]): string {
  return execFileSync(program, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 300_000,
  })
}

function copyIfPresent(from: string, to: string): void {
  if (!existsSync(from)) return
  mkdirSync(dirname(to), { recursive: true })
  cpSync(from, to, { recursive: true })
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
