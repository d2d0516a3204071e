/**
 * Runs before `npm start`, `npm test` and the other commands, on whatever Node and npm the machine
 * has (Node 20 is enough): installs the packages when they are missing or differ from the lock file,
 * checks that a Node which runs TypeScript sources comes first on the PATH of npm scripts, and builds
 * the page of the console when `--page` is given and the page is missing or older than its sources.
 * It is the only script written in plain JavaScript, because nothing else can run yet.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The oldest Node that runs TypeScript sources without a flag. */
const NODE_MIN = [22, 18]
const root = dirname(dirname(fileURLToPath(import.meta.url)))

await prepare()

async function prepare() {
  if (!isInstalled()) await install()
  await checkNode()
  if (process.argv.includes('--page')) await buildPage()
}

/**
 * True when what npm last installed is what the lock file asks for. Compares versions, not times,
 * so that a checkout that touches the lock file costs nothing. Packages for other platforms are
 * optional and may be absent.
 */
function isInstalled() {
  const wanted = readPackages(join(root, 'package-lock.json'))
  const present = readPackages(join(root, 'node_modules/.package-lock.json'))
  if (wanted === undefined)
    fail('package-lock.json is missing.', 'Restore it: `git checkout package-lock.json`.')
  if (present === undefined) return false
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || !path.includes('node_modules/')) return true
    const found = present[path]
    if (found === undefined)
      return entry.optional === true || entry.peer === true || entry.devOptional === true
    return found.version === entry.version && found.integrity === entry.integrity
  })
}

function readPackages(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined
}

/** `npm ci` by the npm that started this script, with a line of progress about once a second. */
async function install() {
  const started = Date.now()
  const total = countLocked()
  const npm = process.env.npm_execpath
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
  const [command, commandArgs] = npm?.endsWith('.js')
    ? [process.execPath, [npm, ...args]]
    : ['npm', args]
  console.log(`Installing ${total} packages (once; about half a minute).`)
  const report = () => {
    const seconds = Math.round((Date.now() - started) / 1000)
    const line = `  ${Math.min(countInstalled(), total)} of ${total} packages, ${seconds} s`
    process.stdout.write(process.stdout.isTTY ? `\r${line} ` : `${line}\n`)
  }
  const timer = setInterval(report, process.stdout.isTTY ? 500 : 3000)
  const code = await run(command, commandArgs, { stdio: ['ignore', 'ignore', 'inherit'] })
  clearInterval(timer)
  if (code !== 0) {
    fail(
      `npm ci ended with code ${code}.`,
      'Check the network and the registry (`npm ping`), then start again.',
    )
  }
  report()
  if (process.stdout.isTTY) process.stdout.write('\n')
}

function countLocked() {
  const packages = readPackages(join(root, 'package-lock.json')) ?? {}
  return Object.keys(packages).filter(
    path => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && !packages[path].optional,
  ).length
}

/** Packages whose files have arrived: npm makes the folders first. */
function countInstalled() {
  const modules = join(root, 'node_modules')
  const folders = path => (existsSync(path) ? readdirSync(path) : [])
  return folders(modules)
    .flatMap(name =>
      name.startsWith('@') ? folders(join(modules, name)).map(inner => join(name, inner)) : [name],
    )
    .filter(name => existsSync(join(modules, name, 'package.json'))).length
}

/**
 * The `node` package brings Node 24 along through its install script. Where install scripts are
 * switched off, a Node on the PATH that is new enough serves as well.
 */
async function checkNode() {
  const version = await new Promise(resolve => {
    const child = spawn('node', ['--version'], { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] })
    let text = ''
    child.stdout.on('data', chunk => (text += chunk))
    child.on('error', () => resolve(undefined))
    child.on('close', () => resolve(text.trim()))
  })
  const [major = 0, minor = 0] = (version ?? '').replace('v', '').split('.').map(Number)
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return
  fail(
    `Node ${NODE_MIN.join('.')} or newer is needed, and npm scripts find ${version || 'none'}: ` +
      'the install script of the package `node`, which brings Node 24 along, has not run.',
    'Allow it and install again: `npm rebuild node --ignore-scripts=false`; ' +
      `or put a Node ${NODE_MIN.join('.')} or newer on the PATH.`,
  )
}

async function buildPage() {
  const app = join(root, 'apps/console')
  const built = join(app, 'dist/index.html')
  // The page holds the client of the server as well.
  const sources = [app, join(root, 'packages/millrace/src/client'), join(root, 'packages/core/src')]
  const isFresh =
    existsSync(built) && sources.every(folder => statSync(built).mtimeMs > newest(folder))
  if (isFresh) return
  console.log('Building the page.')
  const code = await run(
    'node',
    [join(root, 'node_modules/vite/bin/vite.js'), 'build', app, '--logLevel', 'warn'],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  )
  if (code !== 0) fail(`Building the page ended with code ${code}.`, 'Correct the error above.')
}

/** The newest modification time below `folder`, in milliseconds; built and installed files apart. */
function newest(folder) {
  if (!existsSync(folder)) return 0
  return readdirSync(folder, { withFileTypes: true }).reduce((latest, entry) => {
    if (entry.name === 'dist' || entry.name === 'node_modules' || entry.name.startsWith('.'))
      return latest
    const path = join(folder, entry.name)
    return Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs)
  }, 0)
}

function run(command, args, options) {
  return new Promise(resolve => {
    const child = spawn(command, args, { cwd: root, ...options })
    child.on('error', error => {
      console.error(error.message)
      resolve(1)
    })
    child.on('close', code => resolve(code ?? 1))
  })
}

function fail(what, remedy) {
  console.error(`\n${what}\n${remedy}`)
  process.exit(1)
}
